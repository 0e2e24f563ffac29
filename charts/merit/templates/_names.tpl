{{- define "merit.name" -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{- $name := default "merit" .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "merit.selector" -}}
app.kubernetes.io/name: merit
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "merit.labels" -}}
app.kubernetes.io/name: merit
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "merit.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}{{ .Values.serviceAccount.name | default (include "merit.name" .) }}
{{- else -}}{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "merit.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- if .Values.gpu.enabled -}}{{- $tag = printf "%s%s" $tag .Values.gpu.tagSuffix -}}{{- end -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}{{ .Values.image.repository }}:{{ $tag }}
{{- end -}}
{{- end -}}

{{- /* The routing document as text. */ -}}
{{- define "merit.document" -}}
{{- if kindIs "map" .Values.config -}}{{ toYaml .Values.config }}{{- else -}}{{ .Values.config | default "" | trim }}{{- end -}}
{{- end -}}

{{- define "merit.gatewayNamespace" -}}{{ .Values.gateway.namespace | default .Release.Namespace }}{{- end -}}

{{- define "merit.replicas" -}}
{{- if .Values.autoscaling.enabled -}}{{ .Values.autoscaling.maxReplicas }}{{- else -}}{{ .Values.replicaCount }}{{- end -}}
{{- end -}}

{{- /* Combinations that would fail later, or break silently. */ -}}
{{- define "merit.check" -}}
{{- $shutdown := .Values.shutdown -}}
{{- if le (int $shutdown.terminationGracePeriodSeconds) (add (int $shutdown.settleSeconds) (int $shutdown.reserveSeconds) 4) -}}
{{- fail "shutdown: terminationGracePeriodSeconds must exceed settleSeconds + reserveSeconds by more than 4, or nothing is left to drain" -}}
{{- end -}}
{{- if and .Values.insecureListen .Values.tls.secretName -}}
{{- fail "insecureListen: plaintext is meant with it, but tls.secretName turns TLS on; remove one of them" -}}
{{- end -}}
{{- if and .Values.insecureListen (not .Values.networkPolicy.enabled) (eq .Values.mode "deployment") -}}
{{- fail "insecureListen: any pod that connects could spend the backends' keys; it needs networkPolicy.enabled" -}}
{{- end -}}
{{- if and .Values.tls.verifyClients (not .Values.tls.secretName) -}}
{{- fail "tls.verifyClients needs tls.secretName" -}}
{{- end -}}
{{- if and (gt (int (include "merit.replicas" .)) 1) (not .Values.signingSecret.name) (regexMatch "type: *[\"']?(session_aware|confidence|ratings|remom|fusion|workflows)\\b" (include "merit.document" .)) -}}
{{- fail "signingSecret.name: the document keeps sessions or runs several models, and there is more than one replica; without a shared secret no replica accepts what another one signed" -}}
{{- end -}}
{{- if and (ne .Values.gateway.kind "none") .Values.tls.secretName (not .Values.gateway.tlsCaConfigMap) (ne .Values.gateway.kind "ai-gateway-before") -}}
{{- fail "gateway.tlsCaConfigMap: Envoy needs the certificate authority of tls.secretName, or it would use plaintext" -}}
{{- end -}}
{{- if and .Values.tls.secretName (eq .Values.gateway.kind "ai-gateway-before") (not .Values.gateway.tlsCaPem) -}}
{{- fail "gateway.tlsCaPem: Envoy needs the certificate authority of tls.secretName" -}}
{{- end -}}
{{- if and .Values.tls.verifyClients (ne .Values.gateway.kind "none") (not .Values.gateway.clientCertificateSecret) -}}
{{- fail "gateway.clientCertificateSecret: tls.verifyClients refuses an Envoy that presents no certificate" -}}
{{- end -}}
{{- if and .Values.tls.verifyClients (eq .Values.gateway.kind "ai-gateway-before") -}}
{{- fail "tls.verifyClients with gateway.kind ai-gateway-before: a patch cannot refer to the Secret of a client certificate" -}}
{{- end -}}
{{- if and .Values.gateway.models (not .Values.gateway.defaultModel) -}}
{{- fail "gateway.defaultModel: no model is known before a body is read, so requests need a catch-all route to begin with" -}}
{{- end -}}
{{- if and .Values.gateway.models (not .Values.existingConfigMap) -}}
{{- include "merit.checkRoutes" . -}}
{{- end -}}
{{- if and (eq .Values.mode "sidecar") (not (has .Values.gateway.kind (list "envoy-gateway" "ai-gateway-after"))) -}}
{{- fail "mode sidecar: gateway.kind must be envoy-gateway or ai-gateway-after" -}}
{{- end -}}
{{- $source := .Values.assets.source -}}
{{- if and (eq $source "persistentVolumeClaim") (not .Values.assets.persistentVolumeClaim.claimName) -}}{{- fail "assets.persistentVolumeClaim.claimName: assets.source persistentVolumeClaim needs the name of the claim" -}}{{- end -}}
{{- if and (eq $source "initContainer") (not .Values.assets.initContainer.image) -}}{{- fail "assets.initContainer.image: assets.source initContainer needs an image" -}}{{- end -}}
{{- if and (eq $source "imageVolume") (not .Values.assets.imageVolume.reference) -}}{{- fail "assets.imageVolume.reference: assets.source imageVolume needs the reference of an image" -}}{{- end -}}
{{- end -}}

{{- /* Every model and adapter that the document can choose has a route. What YAML does not parse is Merit's to report. */ -}}
{{- define "merit.checkRoutes" -}}
{{- $document := fromYaml (include "merit.document" .) -}}
{{- $routed := list -}}
{{- range .Values.gateway.models -}}{{- $routed = append $routed .name -}}{{- end -}}
{{- $cards := (($document.routing).modelCards) | default list -}}
{{- range $document.recipes -}}{{- $cards = concat $cards (((.routing).modelCards) | default list) -}}{{- end -}}
{{- $served := list -}}
{{- range (($document.providers).models) -}}
{{- if .backend_refs -}}{{- $served = append $served .name -}}{{- end -}}
{{- end -}}
{{- $names := $served -}}
{{- range $cards -}}
{{- if has .name $served -}}{{- range .loras -}}{{- $names = append $names .name -}}{{- end -}}{{- end -}}
{{- end -}}
{{- range uniq $names -}}
{{- if not (has . $routed) -}}
{{- fail (printf "gateway.models: requests that the document sends to %s would get 503; add a route for it" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

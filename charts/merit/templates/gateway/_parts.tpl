{{- /* Settings of Envoy's connections to Merit, the same for ext_proc and access log. */ -}}
{{- define "merit.backendSettings" -}}
circuitBreaker:
  maxConnections: {{ .Values.gateway.circuitBreaker.maxConnections }}
  maxPendingRequests: {{ .Values.gateway.circuitBreaker.maxPendingRequests }}
  maxParallelRequests: {{ .Values.gateway.circuitBreaker.maxParallelRequests }}
http2:
  initialStreamWindowSize: 1Mi
  initialConnectionWindowSize: 4Mi
{{- end -}}

{{- define "merit.healthCheck" -}}
active:
  type: GRPC
  interval: {{ .Values.gateway.healthCheck.intervalSeconds }}s
  timeout: {{ .Values.gateway.healthCheck.timeoutSeconds }}s
  unhealthyThreshold: {{ .Values.gateway.healthCheck.unhealthyThreshold }}
  healthyThreshold: {{ .Values.gateway.healthCheck.healthyThreshold }}
  grpc: {service: envoy.service.ext_proc.v3.ExternalProcessor}
{{- end -}}

{{- /* How Envoy finds Merit: a Service, or the socket of a sidecar. */ -}}
{{- define "merit.backendRef" -}}
{{- if eq .Values.mode "sidecar" -}}
{group: gateway.envoyproxy.io, kind: Backend, name: {{ include "merit.name" . }}}
{{- else -}}
name: {{ include "merit.name" . }}
namespace: {{ .Release.Namespace }}
port: {{ .Values.service.port }}
{{- end -}}
{{- end -}}

{{- define "merit.processingMode" -}}
request: {body: {{ ternary "Buffered" "FullDuplexStreamed" (eq .Values.gateway.request "buffered") }}}
{{- if eq .Values.gateway.response "headers" }}
response: {}
{{- else if eq .Values.gateway.response "streamed" }}
# Forwards each piece as soon as Merit has seen it.
response: {body: Streamed}
{{- end }}
{{- end -}}

{{- /* What a rule for a chosen model without a rule of its own answers with. */ -}}
{{- define "merit.unroutedFilter" -}}
filters:
- type: ExtensionRef
  extensionRef: {group: gateway.envoyproxy.io, kind: HTTPRouteFilter, name: {{ .Values.gateway.name }}-merit}
{{- end -}}

{{- define "merit.gatewayMeta" -}}
name: {{ .Values.gateway.name }}-merit
namespace: {{ include "merit.gatewayNamespace" . }}
labels: {{- include "merit.labels" . | nindent 2 }}
{{- end -}}

{{- /* There is something to say to an EnvoyProxy. */ -}}
{{- define "merit.hasProxy" -}}
{{- if or .Values.gateway.accessLog .Values.gateway.clientCertificateSecret (eq .Values.mode "sidecar") }}yes{{ end -}}
{{- end -}}

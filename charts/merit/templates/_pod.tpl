{{- /* The container of the Deployment, and of the sidecar. `.socket`: listen there instead of on TCP. */ -}}
{{- define "merit.container" -}}
{{- $values := .root.Values -}}
name: merit
image: {{ include "merit.image" .root | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
args:
- serve
- --config=/etc/merit/config.yaml
{{- if .socket }}
- --listen=unix:{{ .socket }}
{{- else }}
- --listen={{ $values.listenAddress }}:50051
{{- end }}
{{- if and $values.admin.tokenSecretName (not .socket) }}
- --admin={{ $values.listenAddress }}:8080
- --admin-token-file=/etc/merit-admin/token
{{- else }}
# Reachable by `kubectl port-forward` only.
- --admin=127.0.0.1:8080
{{- end }}
- --metrics={{ $values.listenAddress }}:9190
- --log-format={{ $values.logFormat }}
- --settle-seconds={{ ternary 0 $values.shutdown.settleSeconds (ne .socket "") }}
- --drain-seconds={{ sub (int $values.shutdown.terminationGracePeriodSeconds) (int $values.shutdown.reserveSeconds) }}
{{- if and $values.tls.secretName (not .socket) }}
- --tls-cert=/etc/merit-tls/tls.crt
- --tls-key=/etc/merit-tls/tls.key
{{- if $values.tls.verifyClients }}
- --tls-client-ca=/etc/merit-tls/ca.crt
{{- end }}
{{- end }}
{{- if and $values.insecureListen (not .socket) }}
- --insecure-listen
{{- end }}
{{- if ne $values.assets.source "none" }}
- --models={{ $values.assets.path }}/models
- --assets={{ $values.assets.path }}/assets
{{- end }}
{{- with $values.workers }}
- --workers={{ . }}
{{- end }}
{{- with $values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- if or $values.env $values.providerKeys $values.signingSecret.name }}
env:
{{- with $values.signingSecret }}
{{- if .name }}
- name: MERIT_SECRET
  valueFrom: {secretKeyRef: {name: {{ .name }}, key: {{ .key }}}}
{{- end }}
{{- end }}
{{- range $values.providerKeys }}
- name: {{ .name }}
  valueFrom: {secretKeyRef: {name: {{ .secretName }}, key: {{ .secretKey }}}}
{{- end }}
{{- with $values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- with $values.envFrom }}
envFrom:
{{ toYaml . }}
{{- end }}
ports:
{{- if not .socket }}
- {name: grpc, containerPort: 50051, protocol: TCP}
{{- end }}
- {name: metrics, containerPort: 9190, protocol: TCP}
{{- if and $values.admin.tokenSecretName (not .socket) }}
- {name: admin, containerPort: 8080, protocol: TCP}
{{- end }}
{{ include "merit.probes" . }}
{{- if and $values.gpu.enabled (not .socket) }}
resources:
  requests: {{- toYaml $values.resources.requests | nindent 4 }}
  limits:
    {{- toYaml $values.resources.limits | nindent 4 }}
    {{ $values.gpu.resource }}: {{ $values.gpu.count }}
{{- else }}
resources: {{- toYaml $values.resources | nindent 2 }}
{{- end }}
securityContext: {{- include "merit.containerSecurity" .root | nindent 2 }}
volumeMounts:
# Mounts the directory, not the file by `subPath`: a file mounted by `subPath` never changes.
- {name: config, mountPath: /etc/merit, readOnly: true}
- {name: cache, mountPath: /var/cache/merit}
{{- if .socket }}
- {name: merit-socket, mountPath: {{ dir .socket }}}
{{- end }}
{{- if and $values.tls.secretName (not .socket) }}
- {name: tls, mountPath: /etc/merit-tls, readOnly: true}
{{- end }}
{{- if and $values.admin.tokenSecretName (not .socket) }}
- {name: admin-token, mountPath: /etc/merit-admin, readOnly: true}
{{- end }}
{{- if not (has $values.assets.source (list "none" "image")) }}
- {name: assets, mountPath: {{ $values.assets.path }}, readOnly: true}
{{- end }}
{{- with $values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* A kubelet's gRPC probe speaks no TLS and no Unix sockets; the metrics port answers the same questions by HTTP. */ -}}
{{- define "merit.probes" -}}
{{- $values := .root.Values -}}
{{- $grpc := not (or .socket $values.tls.secretName) -}}
{{- $probes := $values.probes -}}
startupProbe:
  {{- if $grpc }}
  grpc: {port: 50051, service: liveness}
  {{- else }}
  httpGet: {port: metrics, path: /health}
  {{- end }}
  periodSeconds: {{ $probes.startup.periodSeconds }}
  failureThreshold: {{ if $values.gpu.enabled }}{{ $values.gpu.startupSeconds }}{{ else }}{{ $probes.startup.failureThreshold }}{{ end }}
readinessProbe:
  {{- if $grpc }}
  grpc: {port: 50051, service: readiness}
  {{- else }}
  httpGet: {port: metrics, path: /ready}
  {{- end }}
  periodSeconds: {{ $probes.readiness.periodSeconds }}
  timeoutSeconds: {{ $probes.readiness.timeoutSeconds }}
  failureThreshold: {{ $probes.readiness.failureThreshold }}
livenessProbe:
  {{- if $grpc }}
  # Not `readiness`: a process that drains is still alive.
  grpc: {port: 50051, service: liveness}
  {{- else }}
  httpGet: {port: metrics, path: /health}
  {{- end }}
  periodSeconds: {{ $probes.liveness.periodSeconds }}
  timeoutSeconds: {{ $probes.liveness.timeoutSeconds }}
  failureThreshold: {{ $probes.liveness.failureThreshold }}
{{- end -}}

{{- define "merit.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "merit.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "merit.volumes" -}}
{{- $values := .root.Values -}}
- name: config
  configMap:
    name: {{ $values.existingConfigMap | default (include "merit.name" .root) }}
- name: cache
  emptyDir: {sizeLimit: {{ $values.cache.sizeLimit }}}
{{- if .socket }}
- name: merit-socket
  emptyDir: {sizeLimit: 1Mi}
{{- end }}
{{- if and $values.tls.secretName (not .socket) }}
- name: tls
  secret: {secretName: {{ $values.tls.secretName }}, defaultMode: 0440}
{{- end }}
{{- if and $values.admin.tokenSecretName (not .socket) }}
- name: admin-token
  secret:
    secretName: {{ $values.admin.tokenSecretName }}
    defaultMode: 0440
    items: [{key: {{ $values.admin.tokenSecretKey }}, path: token}]
{{- end }}
{{- if eq $values.assets.source "persistentVolumeClaim" }}
- name: assets
  persistentVolumeClaim: {claimName: {{ $values.assets.persistentVolumeClaim.claimName }}, readOnly: true}
{{- else if eq $values.assets.source "initContainer" }}
- name: assets
  emptyDir: {sizeLimit: {{ $values.assets.initContainer.sizeLimit }}}
{{- else if eq $values.assets.source "imageVolume" }}
- name: assets
  image: {{- toYaml $values.assets.imageVolume | nindent 4 }}
{{- end }}
{{- with $values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "merit.initContainers" -}}
- name: assets
  image: {{ .Values.assets.initContainer.image | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: {{- toYaml .Values.assets.initContainer.command | nindent 2 }}
  resources: {{- toYaml .Values.assets.initContainer.resources | nindent 4 }}
  securityContext: {{- include "merit.containerSecurity" . | nindent 4 }}
  volumeMounts:
  - {name: assets, mountPath: {{ .Values.assets.path }}}
{{- end -}}

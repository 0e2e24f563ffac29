{{- define "merit.name" -}}
{{- if contains "merit" .Release.Name -}}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-merit" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "merit.selector" -}}
app.kubernetes.io/name: merit
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "merit.labels" -}}
{{ include "merit.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

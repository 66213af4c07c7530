variable "tag" {
  description = "Tag of the servers that are looked for, for example hangar-stack=default-k3v7q2mn."
  type        = string

  validation {
    condition     = length(var.tag) > 0
    error_message = "tag must not be empty: every server of the account would be taken for one that is looked for."
  }
}

variable "zone" {
  description = "Zone whose servers are listed."
  type        = string
  default     = "fr-par-1"
}

variable "project_id" {
  description = "Project whose servers are listed. Null: the one of SCW_DEFAULT_PROJECT_ID."
  type        = string
  default     = null
}

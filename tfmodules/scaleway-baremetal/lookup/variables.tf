variable "name" {
  description = "Name of the server that is looked for."
  type        = string

  validation {
    condition     = length(var.name) > 0
    error_message = "name must not be empty."
  }
}

variable "zone" {
  description = "Zone whose servers are looked through."
  type        = string
  default     = "fr-par-2"
}

variable "project_id" {
  description = "Project whose servers are looked through. Null: the one of SCW_DEFAULT_PROJECT_ID."
  type        = string
  default     = null
}

variable "name" {
  description = "Name of the server that is looked for."
  type        = string

  validation {
    condition     = length(var.name) > 0
    error_message = "name must not be empty."
  }
}

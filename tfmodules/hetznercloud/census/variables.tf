variable "tag" {
  description = "Tag of the servers that are looked for, for example hangar-stack=default-k3v7q2mn."
  type        = string

  validation {
    condition     = length(var.tag) > 0
    error_message = "tag must not be empty: every server of the account would be taken for one that is looked for."
  }
}

variable "known" {
  description = "Ids of servers that are told of whatever their labels."
  type        = list(string)
  default     = []
}

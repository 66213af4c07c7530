variable "tag" {
  description = "Tag of the devices that are looked for, for example hangar-stack=default-k3v7q2mn."
  type        = string

  validation {
    condition     = length(var.tag) > 0
    error_message = "tag must not be empty: every device of the project would be taken for one that is looked for."
  }
}

variable "known" {
  description = "Ids of devices that are told of whatever their tags. With any of them the whole list of the project is read, which is slow where it is long."
  type        = list(string)
  default     = []
}

variable "project_id" {
  description = "Project whose devices are listed."
  type        = string

  validation {
    condition     = length(var.project_id) > 0
    error_message = "project_id must not be empty: it is the id of an Equinix Metal project."
  }
}

data "scaleway_baremetal_server" "named" {
  name       = var.name
  zone       = var.zone
  project_id = var.project_id
}

package tfmodules

// Tags are the tags by which a server's device can be found again without
// Terraform's state, followed by extra ones.
func Tags(instance, stack, server string, extra []string) []string {
	tags := []string{
		"hangar",
		"hangar-instance=" + instance,
		"hangar-stack=" + stack,
		"hangar-server=" + server,
	}
	return append(tags, extra...)
}

package main

// Clouds are the settings of the modules that come with hangar, beside packet, with
// the names of drone/autoscaler where it has the provider. The tag to says where a
// setting goes: to the module's terraform as a variable of its environment (env), to
// a setting of the module (setting), to one that tells places apart, each value a
// candidate (place), or to the tags of its machines (tag). Other settings of a
// module are in DRONE_TERRAFORM_SETTINGS or a pools file.
type Clouds struct {
	HetznerToken    string   `env:"DRONE_HETZNERCLOUD_TOKEN" to:"hetznercloud env HCLOUD_TOKEN" help:"API token of Hetzner Cloud; with it the module hetznercloud makes the servers"`
	HetznerLocation []string `env:"DRONE_HETZNERCLOUD_DATACENTER" to:"hetznercloud place location" help:"locations, in order of preference (fsn1); of a data center such as fsn1-dc14 its location counts"`
	HetznerType     []string `env:"DRONE_HETZNERCLOUD_TYPE" to:"hetznercloud place server_type" help:"server types, in order of preference (cx33); each is tried in one location before the next one"`
	HetznerImage    string   `env:"DRONE_HETZNERCLOUD_IMAGE" to:"hetznercloud setting image" help:"image (ubuntu-24.04)"`
	HetznerSSHKey   []string `env:"DRONE_HETZNERCLOUD_SSHKEY" to:"hetznercloud setting ssh_keys" help:"ids or names of the project's SSH keys that are put on the machines"`
	HetznerData     string   `env:"DRONE_HETZNERCLOUD_USERDATA" help:"as DRONE_PACKET_USERDATA"`
	HetznerDataFile string   `env:"DRONE_HETZNERCLOUD_USERDATA_FILE" help:"file with the same"`

	OceanToken     string   `env:"DRONE_DIGITALOCEAN_TOKEN" to:"digitalocean env DIGITALOCEAN_TOKEN" help:"API token of DigitalOcean; with it the module digitalocean makes the servers"`
	OceanRegion    []string `env:"DRONE_DIGITALOCEAN_REGION" to:"digitalocean place region" help:"regions, in order of preference (nyc1)"`
	OceanSize      []string `env:"DRONE_DIGITALOCEAN_SIZE" to:"digitalocean place size" help:"sizes, in order of preference (s-2vcpu-4gb); each is tried in one region before the next one"`
	OceanImage     string   `env:"DRONE_DIGITALOCEAN_IMAGE" to:"digitalocean setting image" help:"image (ubuntu-24-04-x64)"`
	OceanSSHKey    []string `env:"DRONE_DIGITALOCEAN_SSHKEY" to:"digitalocean setting ssh_keys" help:"fingerprints or ids of the account's SSH keys that are put on the machines"`
	OceanTags      []string `env:"DRONE_DIGITALOCEAN_TAGS" to:"digitalocean setting tags" help:"more tags of the machines; a firewall that names one of them applies to them"`
	OceanFirewall  string   `env:"DRONE_DIGITALOCEAN_FIREWALL" help:"refused: a firewall is attached by a tag, see DRONE_DIGITALOCEAN_TAGS"`
	OceanPrivateIP bool     `env:"DRONE_DIGITALOCEAN_PRIVATE_IP" envDefault:"false" help:"reach machines at their private addresses, as DRONE_AGENT_PRIVATE_IP"`
	OceanData      string   `env:"DRONE_DIGITALOCEAN_USERDATA" help:"as DRONE_PACKET_USERDATA"`
	OceanDataFile  string   `env:"DRONE_DIGITALOCEAN_USERDATA_FILE" help:"file with the same"`

	ScalewayAccessKey string   `env:"DRONE_SCALEWAY_ACCESS_KEY" to:"scaleway env SCW_ACCESS_KEY; scaleway-baremetal env SCW_ACCESS_KEY" help:"access key of Scaleway; with it the module scaleway makes the servers"`
	ScalewaySecretKey string   `env:"DRONE_SCALEWAY_SECRET_KEY" to:"scaleway env SCW_SECRET_KEY; scaleway-baremetal env SCW_SECRET_KEY" help:"its secret"`
	ScalewayProject   string   `env:"DRONE_SCALEWAY_ORGANISATION_ID" to:"scaleway setting project_id; scaleway-baremetal setting project_id" help:"project for the machines; the organisation's id is that of its default project"`
	ScalewayZone      []string `env:"DRONE_SCALEWAY_ZONE" to:"scaleway place zone; scaleway-baremetal place zone" help:"zones, in order of preference (fr-par-1)"`
	ScalewaySize      []string `env:"DRONE_SCALEWAY_SIZE" to:"scaleway place type; scaleway-baremetal place offer" help:"types, or offers of the module scaleway-baremetal, in order of preference (DEV1-L); each is tried in one zone before the next one"`
	ScalewayImage     string   `env:"DRONE_SCALEWAY_IMAGE" to:"scaleway setting image; scaleway-baremetal setting os" help:"image (ubuntu_noble); of the module scaleway-baremetal the id of an operating system"`
	ScalewayDynamicIP bool     `env:"DRONE_SCALEWAY_DYNAMIC_IP" envDefault:"true" to:"scaleway setting dynamic_ip" help:"give the machines public addresses (in drone/autoscaler the default is false)"`
	ScalewayTags      []string `env:"DRONE_SCALEWAY_TAGS" to:"scaleway setting tags; scaleway-baremetal setting tags" help:"more tags of the machines"`
	ScalewayData      string   `env:"DRONE_SCALEWAY_USERDATA" help:"as DRONE_PACKET_USERDATA"`
	ScalewayDataFile  string   `env:"DRONE_SCALEWAY_USERDATA_FILE" help:"file with the same"`

	OpenStackImage    string            `env:"DRONE_OPENSTACK_IMAGE" to:"openstack setting image" help:"name or id of the image; with OS_USERNAME, OS_CLOUD or OS_APPLICATION_CREDENTIAL_ID the module openstack makes the servers, and all OS_* are passed on to its terraform"`
	OpenStackFlavor   []string          `env:"DRONE_OPENSTACK_FLAVOR" to:"openstack place flavor" help:"names or ids of flavors, in order of preference"`
	OpenStackNetwork  string            `env:"DRONE_OPENSTACK_NETWORK" to:"openstack setting network" help:"name or id of the network; needed where the project has several"`
	OpenStackPool     string            `env:"DRONE_OPENSTACK_IP_POOL" to:"openstack setting floating_ip_pool" help:"network from which each machine gets a floating address; DRONE_OPENSTACK_NETWORK must then be an id, and security groups are those of the setting security_group_ids"`
	OpenStackGroups   []string          `env:"DRONE_OPENSTACK_SECURITY_GROUP" to:"openstack setting security_groups" help:"names of security groups (default)"`
	OpenStackSSHKey   string            `env:"DRONE_OPENSTACK_SSHKEY" to:"openstack setting key_pair" help:"name of the key pair that is put on the machines"`
	OpenStackMetadata map[string]string `env:"DRONE_OPENSTACK_METADATA" to:"openstack setting metadata" help:"more metadata of the machines: key:value,key:value"`
	OpenStackData     string            `env:"DRONE_OPENSTACK_USERDATA" help:"as DRONE_PACKET_USERDATA"`
	OpenStackDataFile string            `env:"DRONE_OPENSTACK_USERDATA_FILE" help:"file with the same"`
}

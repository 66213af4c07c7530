package main

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/pools"
	"hangar/state"
)

// elsewhere is an environment in which nothing of packet is set.
func elsewhere(more ...string) map[string]string {
	env := guide(more...)
	delete(env, "DRONE_PACKET_APIKEY")
	delete(env, "DRONE_PACKET_PROJECT_ID")
	return env
}

func setUp(t *testing.T, environ map[string]string) (Config, *pools.Source) {
	t.Helper()
	c, err := parseConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.agents()
	if err != nil {
		t.Fatal(err)
	}
	source, err := c.pools(environ, a, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c, source
}

// The variables of drone/autoscaler for its other providers choose the module, and
// go where they belong: keys to its terraform alone.
func TestAutoscalerClouds(t *testing.T) {
	script := filepath.Join(t.TempDir(), "user-data")
	if err := os.WriteFile(script, []byte("#cloud-config\n# {{.Name}} {{.AuthorizedKey}} {{.HostKeyPrivate}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		module     string
		set        []string
		env        map[string]string
		candidates []string // names
		settings   map[string]any
		billing    time.Duration
		minAge     time.Duration
	}{
		{
			"hetznercloud",
			[]string{
				"DRONE_HETZNERCLOUD_TOKEN=hc-token", "DRONE_HETZNERCLOUD_DATACENTER=nbg1-dc3,fsn1", "DRONE_HETZNERCLOUD_TYPE=cx43,cx33", "DRONE_HETZNERCLOUD_IMAGE=debian-12",
				"DRONE_HETZNERCLOUD_SSHKEY=4711", "DRONE_HETZNERCLOUD_USERDATA_FILE=" + script,
			},
			map[string]string{"HCLOUD_TOKEN": "hc-token"},
			[]string{"nbg1-dc3/cx43", "nbg1-dc3/cx33", "fsn1/cx43", "fsn1/cx33"},
			map[string]any{"location": "nbg1-dc3", "server_type": "cx43", "image": "debian-12", "ssh_keys": []any{"4711"}},
			time.Hour, 55 * time.Minute,
		},
		{
			"digitalocean",
			[]string{
				"DRONE_DIGITALOCEAN_TOKEN=do-token", "DRONE_DIGITALOCEAN_REGION=ams3", "DRONE_DIGITALOCEAN_SIZE=s-4vcpu-8gb", "DRONE_DIGITALOCEAN_IMAGE=debian-12-x64",
				"DRONE_DIGITALOCEAN_SSHKEY=aa:bb", "DRONE_DIGITALOCEAN_TAGS=ci,builds", "DRONE_DIGITALOCEAN_PRIVATE_IP=true", "DRONE_DIGITALOCEAN_USERDATA_FILE=" + script,
			},
			map[string]string{"DIGITALOCEAN_TOKEN": "do-token"},
			[]string{"ams3/s-4vcpu-8gb"},
			map[string]any{"region": "ams3", "size": "s-4vcpu-8gb", "image": "debian-12-x64", "ssh_keys": []any{"aa:bb"}, "tags": []any{"ci", "builds"}},
			0, time.Minute,
		},
		{
			"scaleway",
			[]string{
				"DRONE_SCALEWAY_ACCESS_KEY=SCWXXX", "DRONE_SCALEWAY_SECRET_KEY=sc-secret", "DRONE_SCALEWAY_ORGANISATION_ID=org-1", "DRONE_SCALEWAY_ZONE=nl-ams-1", "DRONE_SCALEWAY_SIZE=PRO2-S",
				"DRONE_SCALEWAY_IMAGE=debian_bookworm", "DRONE_SCALEWAY_DYNAMIC_IP=true", "DRONE_SCALEWAY_TAGS=ci", "DRONE_SCALEWAY_USERDATA_FILE=" + script,
			},
			map[string]string{"SCW_ACCESS_KEY": "SCWXXX", "SCW_SECRET_KEY": "sc-secret"},
			[]string{"nl-ams-1/PRO2-S"},
			map[string]any{"zone": "nl-ams-1", "type": "PRO2-S", "image": "debian_bookworm", "project_id": "org-1", "dynamic_ip": true, "tags": []any{"ci"}},
			time.Hour, 55 * time.Minute,
		},
		{
			"openstack",
			[]string{
				"OS_USERNAME=me", "OS_PASSWORD=os-password", "OS_AUTH_URL=https://cloud.example.com:5000/v3", "OS_REGION_NAME=RegionOne", "DRONE_OPENSTACK_IMAGE=ubuntu-24.04", "DRONE_OPENSTACK_FLAVOR=m1.large,m1.medium",
				"DRONE_OPENSTACK_NETWORK=builds", "DRONE_OPENSTACK_SECURITY_GROUP=ci,default", "DRONE_OPENSTACK_SSHKEY=me", "DRONE_OPENSTACK_IP_POOL=public", "DRONE_OPENSTACK_METADATA=team:ci", "DRONE_OPENSTACK_USERDATA_FILE=" + script,
			},
			map[string]string{"OS_USERNAME": "me", "OS_PASSWORD": "os-password", "OS_AUTH_URL": "https://cloud.example.com:5000/v3", "OS_REGION_NAME": "RegionOne"},
			[]string{"m1.large", "m1.medium"},
			map[string]any{"image": "ubuntu-24.04", "flavor": "m1.large", "network": "builds", "security_groups": []any{"ci", "default"}, "key_pair": "me", "floating_ip_pool": "public", "metadata": map[string]any{"team": "ci"}},
			0, 55 * time.Minute,
		},
		{"vultr", []string{"VULTR_API_KEY=vu-key"}, map[string]string{"VULTR_API_KEY": "vu-key"}, []string{"vultr"}, map[string]any{}, time.Hour, 55 * time.Minute},
		{
			"vultr-instance", []string{"VULTR_API_KEY=vu-key", "DRONE_TERRAFORM_MODULE=vultr-instance", "DRONE_TERRAFORM_SETTINGS=region:fra"},
			map[string]string{"VULTR_API_KEY": "vu-key"}, []string{"vultr-instance"}, map[string]any{"region": "fra"}, time.Hour, 55 * time.Minute,
		},
	} {
		t.Run(tt.module, func(t *testing.T) {
			environ := elsewhere(tt.set...)
			c, source := setUp(t, environ)
			pool := source.At(time.Now()).Pools[0]
			var names []string
			for _, k := range pool.Candidates {
				names = append(names, k.Name)
				if k.Provider != tt.module {
					t.Errorf("candidate %s is of module %s", k.Name, k.Provider)
				}
			}
			if !slices.Equal(names, tt.candidates) {
				t.Errorf("candidates %v, want %v", names, tt.candidates)
			}
			if got := pool.Candidates[0].Settings; !reflect.DeepEqual(got, tt.settings) {
				t.Errorf("settings %v, want %v", got, tt.settings)
			}
			keys := c.keys(environ, map[string][]string{})
			if !maps.Equal(keys[tt.module], tt.env) {
				t.Errorf("terraform gets %v, want %v", keys[tt.module], tt.env)
			}
			secrets := c.secrets(environ, nil)
			for name, value := range tt.env {
				if (strings.Contains(name, "TOKEN") || strings.Contains(name, "SECRET") || strings.Contains(name, "PASSWORD") || strings.Contains(name, "API_KEY")) && !slices.Contains(secrets, value) {
					t.Errorf("%s is not among the secrets", name)
				}
				for module, env := range keys {
					if _, has := env[name]; has && !strings.HasPrefix(module, strings.Split(tt.module, "-")[0]) {
						t.Errorf("%s reaches module %s", name, module)
					}
				}
			}
			if pool.BillingPeriod != tt.billing || pool.MinAge != tt.minAge {
				t.Errorf("billed by %s, at least %s; want %s, %s", pool.BillingPeriod, pool.MinAge, tt.billing, tt.minAge)
			}
			if slices.ContainsFunc(tt.set, func(s string) bool { return strings.Contains(s, "USERDATA_FILE") }) {
				a, err := c.agents()
				if err != nil {
					t.Fatal(err)
				}
				if text, err := a.userData(state.Server{Name: "agent-x", Capacity: 1}); err != nil || !strings.HasPrefix(string(text), "#cloud-config\n# agent-x") {
					t.Errorf("user data %.60q, %v", text, err)
				}
			}
			if c.private() != (tt.module == "digitalocean") {
				t.Errorf("machines are reached at private addresses: %t", c.private())
			}
		})
	}
}

func TestCredentialsThatDoNotTellTheModule(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pools.hcl")
	put(t, file, "pool \"a\" {}\n")
	for _, tt := range []struct {
		name    string
		environ map[string]string
		want    string
	}{
		{"several", guide("DRONE_HETZNERCLOUD_TOKEN=x"), "credentials of several providers are set (DRONE_PACKET_APIKEY, DRONE_HETZNERCLOUD_TOKEN): set DRONE_TERRAFORM_MODULE to one of packet, hetznercloud, or describe pools in DRONE_POOLS_FILE"},
		{"several, and a pool that does not tell", guide("DRONE_HETZNERCLOUD_TOKEN=x", "DRONE_POOLS_FILE="+file), "pools.hcl:1,1: module: credentials of several providers are set, so that the pool or its candidate must say"},
		{"half of them", elsewhere("DRONE_SCALEWAY_ACCESS_KEY=x"), "DRONE_SCALEWAY_SECRET_KEY=: want the secret of the key"},
		{"none", elsewhere(), "DRONE_PACKET_APIKEY is not set"},
		{"none of the module", elsewhere("DRONE_TERRAFORM_MODULE=digitalocean"), "module digitalocean needs DRONE_DIGITALOCEAN_TOKEN"},
		{"an address alone", elsewhere("DRONE_TERRAFORM_MODULE=openstack", "OS_AUTH_URL=https://cloud"), "module openstack needs OS_USERNAME, OS_CLOUD or OS_APPLICATION_CREDENTIAL_ID"},
		{"those of another one", elsewhere("DRONE_TERRAFORM_MODULE=openstack", "VULTR_API_KEY=x"), "module openstack needs OS_USERNAME, OS_CLOUD or OS_APPLICATION_CREDENTIAL_ID"},
		{"a firewall", elsewhere("DRONE_DIGITALOCEAN_TOKEN=x", "DRONE_DIGITALOCEAN_FIREWALL=f-1"), "name the tag in DRONE_DIGITALOCEAN_TAGS"},
		{"a setting of the module is missing", elsewhere("OS_CLOUD=x", "DRONE_OPENSTACK_IMAGE=u"), "module openstack: setting flavor is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parseConfig(tt.environ)
			if err == nil {
				_, err = c.pools(tt.environ, &agents{}, slog.New(slog.DiscardHandler))
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v does not say %q", err, tt.want)
			}
		})
	}
	// A module that is named decides, whatever else is set.
	if c, err := parseConfig(guide("DRONE_HETZNERCLOUD_TOKEN=x", "DRONE_TERRAFORM_MODULE=hetznercloud")); err != nil || c.TerraformModule != "hetznercloud" {
		t.Errorf("%s, %v", c.TerraformModule, err)
	}
}

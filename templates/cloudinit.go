// Package templates holds the text that hangar writes for others to read:
// the cloud-init configuration of its servers.
package templates

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
)

// Where the runner's environment lies on the server.
const envFile = "/etc/hangar/agent.env"

//go:embed machine
var machineFiles embed.FS

var machine = template.Must(template.New("").Option("missingkey=error").Funcs(template.FuncMap{
	"shell": shell, "quote": quote, "indent": indent,
}).ParseFS(machineFiles, "machine/*"))

// file is one that cloud-init writes.
type file struct{ Path, Mode, Content string }

// CloudInit writes the cloud-config of a server. It installs Docker from the
// distribution (Ubuntu 22.04 and 24.04, Debian 12, amd64 and arm64), pulls the
// agent's image while cloud-init's log tells of it, keeps the machine from the
// metadata service, and only then starts the agent. Docker listens on its
// socket only. The secret is in the file of the agent's environment, which only
// root reads, and nowhere else.
func CloudInit(agent Agent) ([]byte, error) {
	text, err := agent.cloudInit()
	if err != nil {
		return nil, fmt.Errorf("cloud-init of %s: %w", agent.Name, err)
	}
	return text, nil
}

func (a Agent) cloudInit() ([]byte, error) {
	environment, err := a.environment()
	if err != nil {
		return nil, err
	}
	runner, err := a.runner()
	if err != nil {
		return nil, err
	}
	aids := a.aids()
	for _, c := range append(aids, runner) {
		err = errors.Join(err, c.check())
	}
	if err != nil {
		return nil, err
	}
	ssh, err := a.access()
	if err != nil {
		return nil, err
	}
	data := map[string]any{"Agent": runner, "Aids": aids, "SSH": ssh, "Port": ssh != nil && ssh.Port != 0}
	files := []file{{envFile, "0600", strings.Join(environment, "\n")}}
	for _, f := range []file{
		{"/etc/hangar/firewall.sh", "0700", "firewall.sh"},
		{"/etc/hangar/install.sh", "0700", "install.sh.tmpl"},
		{"/etc/hangar/start.sh", "0700", "start.sh.tmpl"},
		{"/etc/systemd/system/hangar-firewall.service", "0644", "hangar-firewall.service"},
		{"/etc/systemd/system/hangar-agent.service", "0644", "hangar-agent.service"},
	} {
		text, err := fill(f.Content, data)
		if err != nil {
			return nil, err
		}
		files = append(files, file{f.Path, f.Mode, string(text)})
	}
	if ssh != nil {
		files = append(files, file{"/etc/ssh/sshd_config.d/10-hangar.conf", "0644", ssh.sshd()})
	}
	data["Files"] = files
	return fill("cloud-init.yaml.tmpl", data)
}

// fill executes one of the files in the folder machine.
func fill(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	err := machine.ExecuteTemplate(&b, name, data)
	return b.Bytes(), err
}

// indent moves every line that is not empty to the right.
func indent(spaces int, s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = strings.Repeat(" ", spaces) + line
		}
	}
	return strings.Join(lines, "\n")
}

// quote writes a string in double quotes; YAML reads them as JSON does.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(s) // a string can be encoded
	return strings.TrimSuffix(b.String(), "\n")
}

// Package templates holds the text that hangar writes for others to read:
// the cloud-init configuration of its servers.
package templates

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"
)

// Agent is a Drone runner to be started on a server.
type Agent struct {
	Name     string // DRONE_RUNNER_NAME; the host name
	Image    string // of the runner, for example drone/drone-runner-docker:1
	Proto    string // of the Drone server: http or https
	Host     string // of the Drone server
	Secret   string // DRONE_RPC_SECRET
	Capacity int    // stages at once

	// The platform that the runner tells the server of; Variant and Kernel
	// may be empty.
	OS, Arch, Variant, Kernel string

	Labels  map[string]string // which a stage must have, all of them
	Environ []string          // more of the runner's environment, KEY=VALUE each
	Volumes []string          // mounted into the runner's container, source:target[:options] each
}

// envFile is where the runner's environment lies on the server.
const envFile = "/etc/hangar/agent.env"

//go:embed cloud-init.yaml.tmpl
var cloudInitText string

var cloudInit = template.Must(template.New("cloud-init").Option("missingkey=error").Parse(cloudInitText))

// CloudInit writes the cloud-config of a server: it installs Docker from the
// distribution and starts the agent's container. Docker listens on its socket
// only. The secret is in the file of the agent's environment, which only root
// reads, and nowhere else.
func CloudInit(agent Agent) ([]byte, error) {
	environment, err := agent.environment()
	if err != nil {
		return nil, fmt.Errorf("cloud-init of %s: %w", agent.Name, err)
	}
	run, err := agent.run()
	if err != nil {
		return nil, fmt.Errorf("cloud-init of %s: %w", agent.Name, err)
	}
	var out bytes.Buffer
	err = cloudInit.Execute(&out, map[string]any{"EnvFile": envFile, "Environment": environment, "Run": run})
	if err != nil {
		return nil, fmt.Errorf("cloud-init of %s: %w", agent.Name, err)
	}
	return out.Bytes(), nil
}

// environment is the runner's environment as lines of docker's env file,
// which takes everything behind the first equals sign as it is. The names are
// those of https://docs.drone.io/runner/docker/configuration/reference/.
func (a Agent) environment() ([]string, error) {
	labels, err := joinLabels(a.Labels)
	if err != nil {
		return nil, err
	}
	own := [][2]string{
		{"DRONE_RPC_PROTO", a.Proto},
		{"DRONE_RPC_HOST", a.Host},
		{"DRONE_RPC_SECRET", a.Secret},
		{"DRONE_RUNNER_NAME", a.Name},
		{"DRONE_RUNNER_CAPACITY", strconv.Itoa(a.Capacity)},
		{"DRONE_RUNNER_LABELS", labels},
		{"DRONE_PLATFORM_OS", a.OS},
		{"DRONE_PLATFORM_ARCH", a.Arch},
		{"DRONE_PLATFORM_VARIANT", a.Variant},
		{"DRONE_PLATFORM_KERNEL", a.Kernel},
	}
	var lines []string
	var errs []error
	add := func(key, value string) {
		errs = append(errs, checkVariable(key, value))
		lines = append(lines, key+"="+value)
	}
	reserved := map[string]bool{}
	for _, v := range own {
		reserved[v[0]] = true
		if v[1] != "" {
			add(v[0], v[1])
		}
	}
	for _, e := range a.Environ {
		key, value, found := strings.Cut(e, "=")
		switch {
		case !found: // not quoted: it may be a lone secret
			errs = append(errs, errors.New("an entry of the agent's environment is not KEY=VALUE"))
		case reserved[key]:
			errs = append(errs, fmt.Errorf("environment variable %s is hangar's to set", key))
		default:
			add(key, value)
		}
	}
	return lines, errors.Join(errs...)
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// checkVariable never quotes the value: it may be a secret.
func checkVariable(key, value string) error {
	if !variableName.MatchString(key) {
		return fmt.Errorf("environment variable %q: not a name", key)
	}
	if err := checkText(value); err != nil {
		return fmt.Errorf("environment variable %s: its value has %w", key, err)
	}
	return nil
}

// checkText refuses what a line of a YAML block cannot hold: characters that
// YAML 1.1, which cloud-init reads, does not print or breaks lines at
// (https://yaml.org/spec/1.1/#id868518).
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("bytes that are not UTF-8")
	}
	for _, r := range s {
		switch {
		case r == '\n' || r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029':
			return errors.New("a line break in it, which the file cannot hold")
		case r != '\t' && unicode.IsControl(r), r == '\ufffe', r == '\uffff', r == '\ufeff':
			return fmt.Errorf("the character %U in it, which the file cannot hold", r)
		}
	}
	return nil
}

// joinLabels writes labels as the runner reads them: k:v,k:v.
func joinLabels(labels map[string]string) (string, error) {
	var pairs []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if k == "" || strings.ContainsAny(k, ":,") || strings.Contains(labels[k], ",") {
			return "", fmt.Errorf("label %q: %q: the runner reads labels as k:v,k:v: no comma, and no colon in the name", k, labels[k])
		}
		pairs = append(pairs, k+":"+labels[k])
	}
	return strings.Join(pairs, ","), nil
}

// run is the command that starts the agent, as a YAML list: no shell reads it.
func (a Agent) run() (string, error) {
	args := []string{
		"docker", "run", "-d", "--name", "agent", "--restart=always", "--env-file", envFile,
		"-v", "/var/run/docker.sock:/var/run/docker.sock",
	}
	for _, v := range a.Volumes {
		args = append(args, "-v", v)
	}
	args = append(args, a.Image)
	quoted := make([]string, len(args))
	for i, arg := range args {
		if err := checkText(arg); err != nil {
			return "", fmt.Errorf("argument %q of docker run has %w", arg, err)
		}
		quoted[i] = quote(arg)
	}
	return "[" + strings.Join(quoted, ", ") + "]", nil
}

// quote writes a string in double quotes; YAML reads them as JSON does.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(s) // a string can be encoded
	return strings.TrimSuffix(b.String(), "\n")
}

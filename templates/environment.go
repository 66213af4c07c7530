package templates

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// environment is the runner's environment as lines of docker's env file,
// which takes everything behind the first equals sign as it is. The names are
// those of https://docs.drone.io/runner/docker/configuration/reference/, and
// DRONE_RPC_SERVER for the older drone/agent.
func (a Agent) environment() ([]string, error) {
	labels, err := joinLabels(a.Labels)
	if err != nil {
		return nil, err
	}
	own := [][2]string{
		{"DRONE_RPC_PROTO", a.Proto},
		{"DRONE_RPC_HOST", a.Host},
		{"DRONE_RPC_SERVER", a.Proto + "://" + a.Host},
		{"DRONE_RPC_SECRET", a.Secret},
		{"DRONE_RUNNER_NAME", a.Name},
		{"DRONE_RUNNER_CAPACITY", strconv.Itoa(a.Capacity)},
		{"DRONE_RUNNER_LABELS", labels},
		{"DRONE_PLATFORM_OS", a.OS},
		{"DRONE_PLATFORM_ARCH", a.Arch},
		{"DRONE_PLATFORM_VARIANT", a.Variant},
		{"DRONE_PLATFORM_KERNEL", a.Kernel},
	}
	// These may come with the extra environment as well.
	for _, v := range [][2]string{
		{"DRONE_RUNNER_VOLUMES", a.RunnerVolumes},
		{"DRONE_RUNNER_DEVICES", a.RunnerDevices},
		{"DRONE_RUNNER_PRIVILEGED_IMAGES", a.RunnerPrivileged},
		{"DRONE_RUNNER_ENV_FILE", a.RunnerEnvFile},
	} {
		if v[1] != "" {
			own = append(own, v)
		}
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

package tfmodules

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrIncomplete says that bytes are not a whole Terraform state. Terraform
// does not write its state file atomically: read it again.
var ErrIncomplete = errors.New("the Terraform state is incomplete")

// ParseState returns the serial and the lineage of a Terraform state.
func ParseState(stateJSON []byte) (serial int64, lineage string, err error) {
	s, err := parseState(stateJSON)
	return s.Serial, s.Lineage, err
}

// stateFile is what is needed of Terraform's state format, version 4.
type stateFile struct {
	Version   int                    `json:"version"`
	Terraform string                 `json:"terraform_version"`
	Serial    int64                  `json:"serial"`
	Lineage   string                 `json:"lineage"`
	Outputs   map[string]stateOutput `json:"outputs"`
	Resources []stateResource        `json:"resources"`
}

type stateOutput struct {
	Value     json.RawMessage `json:"value"`
	Sensitive bool            `json:"sensitive"`
}

type stateResource struct {
	Module    string          `json:"module"`
	Mode      string          `json:"mode"` // managed, data
	Type      string          `json:"type"`
	Name      string          `json:"name"`
	Instances []stateInstance `json:"instances"`
}

type stateInstance struct {
	IndexKey   any             `json:"index_key"` // string, float64 or nil
	Status     string          `json:"status"`
	Deposed    string          `json:"deposed"` // set when another has taken its place
	Attributes json.RawMessage `json:"attributes"`
	Sensitive  json.RawMessage `json:"sensitive_attributes"` // paths, each a list of steps
}

func parseState(stateJSON []byte) (stateFile, error) {
	if !json.Valid(stateJSON) {
		return stateFile{}, ErrIncomplete
	}
	var s stateFile
	if err := json.Unmarshal(stateJSON, &s); err != nil {
		return stateFile{}, fmt.Errorf("terraform state: %w", err)
	}
	if s.Version != 4 {
		return stateFile{}, fmt.Errorf("terraform state: version %d is not 4, the one that is understood", s.Version)
	}
	return s, nil
}

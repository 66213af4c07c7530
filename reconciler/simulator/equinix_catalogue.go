package simulator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"

	"hangar/reconciler/simulator/plugin"
)

// metalProject is the data source equinix_metal_project, by an id.
type metalProject struct{ *equinix }

func (m metalProject) Read(ctx context.Context, config plugin.Object) (plugin.Object, error) {
	id := text(config["project_id"])
	var project named
	if err := m.client.call(ctx, http.MethodGet, "/projects/"+url.PathEscape(id), nil, &project); err != nil {
		return nil, &plugin.Error{Summary: "Error reading Metal Project", Detail: fmt.Sprintf("Could not read Metal Project with ID %s: %s", id, err)}
	}
	found := maps.Clone(config)
	found["id"], found["name"] = project.ID, project.Name
	return found, nil
}

// catalogue is the answer to a question for all places or plans.
type catalogue struct {
	Facilities []named `json:"facilities,omitempty"`
	Metros     []named `json:"metros,omitempty"`
	Plans      []named `json:"plans,omitempty"`
}

// metalPlace is the data sources equinix_metal_facility and equinix_metal_metro.
type metalPlace struct {
	*equinix
	kind, many, path string
}

func (m metalPlace) Read(ctx context.Context, config plugin.Object) (plugin.Object, error) {
	var all catalogue
	if err := m.client.call(ctx, http.MethodGet, m.path, nil, &all); err != nil {
		return nil, &plugin.Error{Summary: fmt.Sprintf("Error listing %s: %s", m.many, byPackngo(err))}
	}
	for _, place := range append(all.Facilities, all.Metros...) {
		if place.Code == text(config["code"]) {
			found := maps.Clone(config)
			found["id"], found["name"] = place.ID, place.Name
			return found, nil
		}
	}
	return nil, fmt.Errorf("%s %s was not found", m.kind, text(config["code"]))
}

// byPackngo is an error in the words of the provider's older library.
func byPackngo(err error) string {
	if answer, ok := errors.AsType[*apiError](err); ok {
		return answer.packngo()
	}
	return err.Error()
}

// metalPlans is the data source equinix_metal_plans, filtered here.
type metalPlans struct{ *equinix }

func (m metalPlans) Read(ctx context.Context, config plugin.Object) (plugin.Object, error) {
	var all catalogue
	if err := m.client.call(ctx, http.MethodGet, "/plans?include=available_in%2Cavailable_in_metros", nil, &all); err != nil {
		return nil, &plugin.Error{Summary: "Unable to load records: " + byPackngo(err)}
	}
	var records []plugin.Object
	for _, plan := range all.Plans {
		records = append(records, plugin.Object{
			"id": plan.ID, "slug": plan.Slug, "name": plan.Name, "description": "", "line": "baremetal", "legacy": false, "class": plan.Slug,
			"deployment_types": []any{}, "available_in": []any{}, "available_in_metros": []any{}, "pricing_hour": 0.0, "pricing_month": 0.0,
		})
	}
	for _, f := range listOf(config["filter"]) {
		var err error
		if records, err = filtered(records, f.(plugin.Object)); err != nil {
			return nil, err
		}
	}
	plans := []any{}
	for _, r := range records {
		plans = append(plans, r)
	}
	found := maps.Clone(config)
	found["id"], found["plans"] = "terraform-plans", plans
	return found, nil
}

package reconciler

import (
	"context"

	"hangar/state"
)

// ask makes one census, which may take minutes but not for ever.
func (s *Sweeper) ask(ctx context.Context, q state.Question) ([]state.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return s.Asker.Census(ctx, q)
}

// question is what one provider account is asked.
type question struct {
	state.Question
	scope    string
	template state.Stack   // what a recovery stack there is made after
	others   []state.Stack // the same, of the other pools and places
}

// questions are the questions by which everything is seen once: all that new
// servers could be made of, and all that stacks were made of.
func (s *Sweeper) questions(ctx context.Context) ([]question, error) {
	stacks, scopes, err := s.stacks(ctx)
	if err != nil {
		return nil, err
	}
	snap, err := s.Store.Snapshot(ctx, s.Now())
	if err != nil {
		return nil, err
	}
	known, names := make(map[string][]string), make(map[string][]string)
	for _, server := range snap.Servers {
		scope := scopes[server.Stack]
		if server.ID != "" {
			known[scope] = append(known[scope], server.ID)
		}
		if server.ID != "" || !server.Began.IsZero() {
			names[scope] = append(names[scope], server.Runner())
		}
	}
	var questions []question
	asked := make(map[string]int)
	ask := func(scope string, template state.Stack) {
		if at, before := asked[scope]; before {
			questions[at].others = append(questions[at].others, template)
			return
		}
		asked[scope] = len(questions)
		questions = append(questions, question{scope: scope, template: template, Question: state.Question{
			Module: template.Module, Settings: template.Settings, Tag: "hangar-instance=" + s.Instance, Known: known[scope], Names: names[scope],
		}})
	}
	for _, p := range s.Pools.At(s.Now()).Pools {
		for _, k := range p.Candidates {
			scope, err := s.Asker.Scope(k.Module, k.Settings)
			if err != nil {
				return nil, err
			}
			ask(scope, state.Stack{Pool: p.Name, Provider: k.Provider, Candidate: k.Name, Settings: k.Settings, Module: k.Module, Resource: k.Resource})
		}
	}
	for _, stack := range stacks {
		if _, before := asked[scopes[stack.Name]]; !before {
			ask(scopes[stack.Name], stack)
		}
	}
	return questions, nil
}

// stacks returns the stacks that may have devices, by name, and the scope of
// each.
func (s *Sweeper) stacks(ctx context.Context) (map[string]state.Stack, map[string]string, error) {
	all, err := s.Store.Stacks(ctx)
	if err != nil {
		return nil, nil, err
	}
	byName, scopes := make(map[string]state.Stack), make(map[string]string)
	for _, stack := range all {
		if !stack.Emptied.IsZero() {
			continue
		}
		scope, err := s.Asker.Scope(stack.Module, stack.Settings)
		if err != nil {
			return nil, nil, err
		}
		byName[stack.Name], scopes[stack.Name] = stack, scope
	}
	return byName, scopes, nil
}

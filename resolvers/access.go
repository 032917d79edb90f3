package resolvers

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/platform/auth"
)

// grants are the relations as rows know them.
var grants = map[model.Relation]auth.Grants{
	model.RelationSelf:            auth.AsSelf,
	model.RelationAdmin:           auth.AsAdmin,
	model.RelationCoach:           auth.AsCoach,
	model.RelationSupervisor:      auth.AsSupervisor,
	model.RelationClient:          auth.AsClient,
	model.RelationSponsor:         auth.AsSponsor,
	model.RelationProgressSponsor: auth.AsProgressSponsor,
}

// Access enforces @access: the field is null for who sees the row through other relations only. Which rows a viewer sees
// at all (@scope) is in the SQL of every statement.
func Access(ctx context.Context, obj any, next graphql.Resolver, to []model.Relation) (any, error) {
	row, ok := obj.(auth.Granted)
	if !ok {
		return nil, fmt.Errorf("@access on a field of %T, which knows no grants", obj)
	}
	var open auth.Grants
	for _, r := range to {
		open |= grants[r]
	}
	if !row.Granted().Any(open) {
		return nil, nil
	}
	return next(ctx)
}

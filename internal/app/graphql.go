package app

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/rapporthq/rapport/graph"
	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/once"
	"github.com/rapporthq/rapport/internal/transport"
	"github.com/rapporthq/rapport/loaders"
	"github.com/rapporthq/rapport/resolvers"
)

// graphQL assembles the executable schema and its transports.
func (a *App) graphQL(who *auth.Authenticator) http.Handler {
	schema := graph.NewExecutableSchema(graph.Config{
		Resolvers:  &resolvers.Resolver{Services: a.services},
		Directives: graph.DirectiveRoot{Access: resolvers.Access},
	})
	srv := handler.New(schema)
	srv.AddTransport(&transport.WebSocket{
		SignIn: signIn(who), Streams: a.streams, Timing: a.timing, Log: a.log,
		MaxMessage: a.config.HTTP.MaxBodyBytes, MaxSubscriptions: a.config.HTTP.MaxSubscriptionsPerSocket,
	})
	srv.AddTransport(transport.HTTP{
		Streams: a.streams, Timing: a.timing,
		Once: once.New(a.shared.once, a.log, a.config.Stream.IdempotencyWindow),
	})

	limitDocuments(srv, a.config.HTTP.MaxQueryTokens)
	if !a.config.DevLogin() {
		srv.SetDisableSuggestion(true)
		srv.SetValidationRulesFn(silentRules)
	}
	srv.SetErrorPresenter(resolvers.Present)
	srv.SetRecoverFunc(a.recovered)
	srv.Use(extension.Introspection{})
	srv.Use(oneStream{})
	srv.Use(outages{a.log})

	srv.AroundOperations(a.admit)
	srv.AroundResponses(func(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
		ctx, reads := audit.WithReads(ctx)
		defer a.reads.Add(ctx, reads)
		return few(next(loaders.With(ctx, a.services))) // both fresh for every event of a subscription
	})
	srv.AroundRootFields(func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
		if graphql.GetOperationContext(ctx).Operation.Operation == ast.Mutation {
			ctx = loaders.With(ctx, a.services) // a mutation must not be answered with what an earlier one has loaded
		}
		return next(ctx)
	})
	return srv
}

// signIn checks the bearer token in a connection_init as one in a request's header is checked.
func signIn(who *auth.Authenticator) func(context.Context, map[string]any) (auth.Viewer, error) {
	return func(ctx context.Context, payload map[string]any) (auth.Viewer, error) {
		if bearer := auth.PayloadBearer(payload); bearer != "" {
			var err error
			if ctx, _, err = who.Authenticate(ctx, bearer); err != nil {
				return auth.Viewer{}, err
			}
		}
		return auth.FromContext(ctx) // a client that can set headers has been checked by them
	}
}

// admit refuses operations before anything is executed.
func (a *App) admit(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	if _, err := auth.FromContext(ctx); err != nil && !accepts(op.Operation) && !(a.config.DevLogin() && introspects(op.Operation)) {
		return refuse(ctx, err)
	}
	if defers(op.Doc) {
		return refuse(ctx, fault.Invalid("", "@defer is not supported"))
	}
	if c, limit := cost(op.Operation, op.Variables), a.config.HTTP.MaxQueryCost; c > limit {
		return refuse(ctx, tooMuch(c, limit))
	}
	return next(ctx)
}

func refuse(ctx context.Context, err error) graphql.ResponseHandler {
	return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{resolvers.Present(ctx, err)}})
}

func tooMuch(cost, limit int) error {
	fields := strconv.Itoa(cost)
	if cost == math.MaxInt { // past counting
		fields = fmt.Sprintf("more than %d", limit)
	}
	return fault.Limited("the query may answer %s fields, the limit is %d: ask for smaller pages, or in several queries", fields, limit).
		WithCode("COST_LIMIT_EXCEEDED")
}

// accepts says whether an operation does nothing but accept an invitation: that is for who is nobody here yet.
func accepts(op *ast.OperationDefinition) bool {
	for _, s := range op.SelectionSet {
		if f, ok := s.(*ast.Field); !ok || f.Name != "acceptInvitation" && f.Name != "__typename" {
			return false
		}
	}
	return op.Operation == ast.Mutation
}

// introspects says whether an operation asks for nothing but the schema.
func introspects(op *ast.OperationDefinition) bool {
	for _, s := range op.SelectionSet {
		if f, ok := s.(*ast.Field); !ok || !strings.HasPrefix(f.Name, "__") {
			return false
		}
	}
	return true
}

// defers says whether a document uses @defer: plain POST would lose the deferred part.
func defers(doc *ast.QueryDocument) bool {
	for _, op := range doc.Operations {
		if deferredIn(op.SelectionSet) {
			return true
		}
	}
	for _, f := range doc.Fragments {
		if deferredIn(f.SelectionSet) {
			return true
		}
	}
	return false
}

func deferredIn(set ast.SelectionSet) bool {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if deferredIn(s.SelectionSet) {
				return true
			}
		case *ast.InlineFragment:
			if s.Directives.ForName("defer") != nil || deferredIn(s.SelectionSet) {
				return true
			}
		case *ast.FragmentSpread:
			if s.Directives.ForName("defer") != nil {
				return true
			}
		}
	}
	return false
}

// recovered masks a panic. Its value may quote anything, so that only its type is logged, with the stack.
func (a *App) recovered(ctx context.Context, value any) error {
	a.log.ErrorContext(ctx, "panic in a resolver", "type", fmt.Sprintf("%T", value), "stack", string(debug.Stack()))
	return fmt.Errorf("panic: %T", value)
}

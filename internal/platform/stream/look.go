package stream

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rapporthq/rapport/internal/platform/auth"
)

// Looks lets those who look at one event at the same time with the same eyes share what they see: the tabs of one person, and whoever else
// signs in as them. Each look begins after the event was committed and is forgotten when it is over, so that nobody sees
// anything older than by looking alone. The zero value is ready; all methods are safe for concurrent use.
type Looks[E any] struct{ flight singleflight.Group }

const looking = 10 * time.Second // until a look is given up that nobody waits for any more

// Look returns what load returns for a delivery and a viewer. What it returns is shared: read only. load is called with a context that ends
// with nobody's subscription.
func (l *Looks[E]) Look(ctx context.Context, v auth.Viewer, d Delivery, load func(context.Context) (E, error)) (seen E, err error) {
	result := l.flight.DoChan(fmt.Sprint(v.Org, v.User, v.Roles, d.Cursor), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), looking)
		defer cancel()
		return load(ctx)
	})
	select {
	case r := <-result:
		seen, _ = r.Val.(E) // nil where nothing is seen
		return seen, r.Err
	case <-ctx.Done():
		return seen, ctx.Err()
	}
}

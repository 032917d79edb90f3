package limit_test

import (
	"testing"

	"github.com/rapporthq/rapport/internal/platform/limit"
	"github.com/rapporthq/rapport/internal/platform/limit/limittest"
)

func TestLocal(t *testing.T) {
	t.Parallel()
	limittest.Run(t, func(*testing.T) limit.Limiter { return limit.NewLocal() })
}

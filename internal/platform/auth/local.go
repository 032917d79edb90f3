package auth

import (
	"net/http"

	"github.com/rapporthq/rapport/internal/platform/fault"
)

// LocalOnly refuses what does not come from this machine, by the rules of the development sign-in.
func LocalOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reason := notLocal(r); reason != "" {
			devProblem(w, http.StatusForbidden, fault.KindForbidden, "this page serves this machine only: "+reason)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// DevIssuerName is the iss of development tokens.
const DevIssuerName = devIssuerName

package config

import (
	"fmt"
	"iter"
	"log/slog"
	"net/url"
	"reflect"
	"strings"

	"github.com/rapporthq/rapport/internal/platform/secret"
)

// variable is a field of Config that the environment fills.
type variable struct {
	name  string
	typ   reflect.Type
	index []int
}

// variables walks the fields of a configuration struct in their order.
func variables(t reflect.Type) iter.Seq[variable] {
	return func(yield func(variable) bool) {
		for _, f := range reflect.VisibleFields(t) {
			if f.Type.Kind() == reflect.Struct {
				for v := range variables(f.Type) {
					v.index = append(append([]int(nil), f.Index...), v.index...)
					if !yield(v) {
						return
					}
				}
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("env"), ",")
			if name != "" && !yield(variable{name, f.Type, f.Index}) {
				return
			}
		}
	}
}

// String lists the variables and their values, without the secrets.
func (c Config) String() string {
	var lines []string
	for _, a := range c.LogValue().Group() {
		lines = append(lines, a.Key+"="+a.Value.String())
	}
	return strings.Join(lines, "\n")
}

// GoString keeps %#v from showing what String hides.
func (c Config) GoString() string { return c.String() }

// LogValue implements slog.LogValuer: the variables by name, without the secrets.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for v := range variables(reflect.TypeFor[Config]()) {
		attrs = append(attrs, slog.String(v.name, withoutLogin(fmt.Sprint(reflect.ValueOf(c).FieldByIndex(v.index).Interface()))))
	}
	return slog.GroupValue(attrs...)
}

// withoutLogin hides who signs in at an address, with what.
func withoutLogin(value string) string {
	if u, err := url.Parse(value); err == nil && u.User != nil {
		u.User = url.User("***")
		return u.String()
	}
	return value
}

// Refs are the secrets that are kept elsewhere, by variable.
func (c Config) Refs() map[string]secret.Ref {
	refs := map[string]secret.Ref{}
	for v := range variables(reflect.TypeFor[Config]()) {
		if text, is := reflect.ValueOf(c).FieldByIndex(v.index).Interface().(Secret); is {
			if ref, refers, err := secret.ParseRef(text.Reveal()); refers && err == nil {
				refs[v.name] = ref
			}
		}
	}
	return refs
}

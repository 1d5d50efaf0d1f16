package store

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// urlSettings are the query parameters that a URL may have. go-redis takes many
// more; what they set is fixed by Config, so they are refused and not ignored.
var urlSettings = []string{"db", "skip_verify"}

// ParseURL checks the URL of a Redis server. Its forms are
//
//	redis://user:password@host:port/db
//	rediss://user:password@host:port/db       with TLS; ?skip_verify=true
//	redis+unix://user:password@/path?db=db    a Unix socket
//
// Errors do not hold the password.
func ParseURL(text string) (*redis.Options, error) {
	u, err := url.Parse(text)
	if err != nil {
		// What url.Parse returns quotes the text.
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fmt.Errorf("%w: URL: %v", ErrConfig, err)
	}
	switch u.Scheme {
	case "redis", "rediss":
	case "redis+unix":
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") {
			return nil, fmt.Errorf("%w: URL %s: the path of the socket must be absolute, as in redis+unix:///run/redis.sock?db=0",
				ErrConfig, u.Redacted())
		}
		u.Scheme = "unix" // go-redis's name for it
	default:
		return nil, fmt.Errorf("%w: URL scheme %q: use redis://, rediss:// or redis+unix://", ErrConfig, u.Scheme)
	}
	for name := range u.Query() {
		if !slices.Contains(urlSettings, name) {
			return nil, fmt.Errorf("%w: URL setting %q: only %s can be set there", ErrConfig, name, strings.Join(urlSettings, ", "))
		}
	}
	options, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, fmt.Errorf("%w: URL %s: %v", ErrConfig, u.Redacted(), err)
	}
	if options.DB < 0 {
		return nil, fmt.Errorf("%w: URL %s: negative database number", ErrConfig, u.Redacted())
	}
	return options, nil
}

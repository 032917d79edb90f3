// Who the page speaks for. In development it signs in as one of the demo people; elsewhere a token is pasted. Tokens
// live in memory, a pasted one in sessionStorage too, and never in a URL.

const defaultEmail = 'coach@harbor.example'
const personKey = 'rapport:person'
const pastedKey = 'rapport:token'
const renewBeforeMs = 30_000

/**
 * The state that views show:
 * - mode: 'starting', 'people' (sign in as one of them) or 'token' (paste one)
 * - people, email: whom one can be, and who one is
 * - hasToken: whether one was pasted
 * - error: why signing in failed, for people
 */
export function createAuth({fetch, storage, now = Date.now}) {
  let state = {mode: 'starting', people: [], email: null, hasToken: false, error: null}
  let pasted = null
  let login = null // {bearer: a promise of the header, expiresAt}; everybody who needs one waits for the same
  const listeners = new Set()
  const started = start()

  function set(change) {
    state = {...state, ...change}
    listeners.forEach(listener => listener())
  }

  /** Finds out which way of signing in the server offers. */
  async function start() {
    try {
      const response = await fetch('/dev/people')
      if (!response.ok) throw new Error(`the server answered ${response.status}`)
      const people = await response.json()
      const emails = people.map(person => person.email)
      const email = [storage.getItem(personKey), defaultEmail, emails[0]].find(each => emails.includes(each)) ?? null
      set({mode: 'people', people, email})
    } catch {
      // A 404 outside development. Whatever else it was, pasting a token still works.
      pasted = storage.getItem(pastedKey)
      set({mode: 'token', hasToken: Boolean(pasted)})
    }
  }

  function signIn(email) {
    const attempt = {expiresAt: Infinity}
    attempt.bearer = askToken(email).then(
      ({token, expiresAt}) => {
        attempt.expiresAt = Date.parse(expiresAt)
        if (login === attempt) set({error: null})
        return `Bearer ${token}`
      },
      error => {
        if (login === attempt) {
          login = null
          set({error: `Signing in failed: ${error.message}`})
        }
        throw error
      },
    )
    return attempt
  }

  async function askToken(email) {
    const response = await fetch('/dev/login', {
      method: 'POST',
      headers: {'content-type': 'application/json'},
      body: JSON.stringify({email}),
    })
    const answer = await response.json().catch(() => null)
    if (!response.ok) throw new Error(answer?.errors?.[0]?.message ?? `the server answered ${response.status}`)
    return answer
  }

  return {
    state: () => state,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    /** Returns the Authorization header's value, null while nobody is signed in. */
    async authorization() {
      await started
      if (state.mode === 'token') return pasted && `Bearer ${pasted}`
      if (!state.email) return null
      if (!login || login.expiresAt - now() < renewBeforeMs) login = signIn(state.email)
      return login.bearer
    },

    /** Forgets a token that the server refused. Returns whether asking for another may help. */
    async refused(authorization) {
      const current = login
      if (!current || (await current.bearer) !== authorization) return false
      if (login === current) login = null
      return true
    },

    /** Becomes somebody else, from the next request on. */
    choose(email) {
      storage.setItem(personKey, email)
      login = null
      set({email, error: null})
    },

    /** Takes a token that a person pasted; an empty one signs out. */
    paste(text) {
      pasted = text.trim().replace(/^Bearer\s+/i, '') || null
      if (pasted) storage.setItem(pastedKey, pasted)
      else storage.removeItem(pastedKey)
      set({hasToken: Boolean(pasted), error: null})
    },
  }
}

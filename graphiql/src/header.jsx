import {useState} from 'react'

export function Header({mode, people, email, hasToken, error, panelOpen, onChoose, onPaste, onTogglePanel}) {
  return (
    <header className="header">
      <h1 className="brand">Rapport</h1>
      {error && (
        <p className="header-error" role="alert">
          {error}
        </p>
      )}
      <div className="header-end">
        {mode === 'people' && <PersonSelect people={people} email={email} onChoose={onChoose} />}
        {mode === 'token' && <TokenBox hasToken={hasToken} onPaste={onPaste} />}
        <button
          type="button"
          className="button"
          aria-expanded={panelOpen}
          aria-controls="import-panel"
          onClick={onTogglePanel}
        >
          Import a transcript
        </button>
      </div>
    </header>
  )
}

function PersonSelect({people, email, onChoose}) {
  return (
    <label className="inline-field">
      <span>Signed in as</span>
      <select value={email ?? ''} onChange={event => onChoose(event.target.value)}>
        {[...groupByOrganization(people)].map(([organization, members]) => (
          <optgroup key={organization} label={organization}>
            {members.map(({email, name, roles}) => (
              <option key={email} value={email}>
                {`${name}, ${roles.join(' and ').toLowerCase()}`}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </label>
  )
}

function TokenBox({hasToken, onPaste}) {
  const [text, setText] = useState('')
  if (hasToken) {
    return (
      <div className="inline-field">
        <span>Signed in with a token</span>
        <button type="button" className="button" onClick={() => onPaste('')}>
          Sign out
        </button>
      </div>
    )
  }
  const submit = event => {
    event.preventDefault()
    onPaste(text)
    setText('')
  }
  return (
    <form className="inline-field" onSubmit={submit}>
      <label htmlFor="token">Bearer token</label>
      <input
        id="token"
        type="password"
        autoComplete="off"
        placeholder="Paste one to sign in"
        value={text}
        onChange={event => setText(event.target.value)}
      />
      <button type="submit" className="button" disabled={!text.trim()}>
        Sign in
      </button>
    </form>
  )
}

function groupByOrganization(people) {
  const groups = new Map()
  for (const person of people) {
    const members = groups.get(person.organization) ?? []
    groups.set(person.organization, [...members, person])
  }
  return groups
}

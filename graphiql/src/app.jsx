import {useCallback, useMemo, useState, useSyncExternalStore} from 'react'

import {Explorer} from './explorer.jsx'
import {Header} from './header.jsx'
import {ImportPanel} from './import/panel.jsx'

const panelKey = 'rapport:panel'

export function App({auth, live, request, fetcher}) {
  const {mode, people, email, hasToken, error} = useSyncExternalStore(auth.subscribe, auth.state)
  const [panelOpen, setPanelOpen] = useState(sessionStorage.getItem(panelKey) !== 'closed')
  // What was loaded for one person is not shown to the next.
  const [person, setPerson] = useState(0)

  const become = useCallback(
    change => {
      change()
      live.terminate() // what listens connects again at once, as the new person
      setPerson(count => count + 1)
    },
    [live],
  )

  // A fetcher of its own makes GraphiQL ask for the schema again: outside development it may be for members only.
  const personsFetcher = useMemo(() => (...operation) => fetcher(...operation), [fetcher, person])

  const togglePanel = useCallback(() => {
    setPanelOpen(open => {
      sessionStorage.setItem(panelKey, open ? 'closed' : 'open')
      return !open
    })
  }, [])

  return (
    <>
      <Header
        {...{mode, people, email, hasToken, error, panelOpen}}
        onChoose={chosen => become(() => auth.choose(chosen))}
        onPaste={token => become(() => auth.paste(token))}
        onTogglePanel={togglePanel}
      />
      <div className="body">
        <Explorer fetcher={personsFetcher} request={request} />
        {/* Closed it stays mounted: an import goes on, and its list is there when it is opened again. */}
        <ImportPanel key={person} open={panelOpen} signedIn={mode !== 'token' || hasToken} live={live} request={request} />
      </div>
    </>
  )
}

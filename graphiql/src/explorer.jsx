import {explorerPlugin} from '@graphiql/plugin-explorer'
import {GraphiQL, HISTORY_PLUGIN} from 'graphiql'
import {useEffect, useState} from 'react'

import {exampleTabs, linkedTab} from './examples.js'
import {graphiqlStorage, hasTabs} from './storage.js'

const plugins = [HISTORY_PLUGIN, explorerPlugin({showAttribution: false})]
// What is secret stands behind the #.
const linked = linkedTab(location.search) ?? linkedTab(location.hash.slice(1))

export function Explorer({fetcher, request}) {
  const [examples, setExamples] = useState(null)
  const [returning] = useState(hasTabs)
  useEffect(() => {
    exampleTabs(request).then(setExamples)
  }, [request])
  // GraphiQL fills its editors with what is initial and not with the first tab; where it remembers tabs it wants neither.
  const opened = linked ?? (returning ? undefined : examples?.[0])

  return (
    <main className="explorer" aria-busy={!examples}>
      {examples && (
        <GraphiQL
          fetcher={fetcher}
          plugins={plugins}
          storage={graphiqlStorage}
          initialQuery={opened?.query}
          initialVariables={opened?.variables}
          defaultEditorToolsVisibility="variables"
          defaultTabs={linked ? [linked, ...examples] : examples}
        >
          <GraphiQL.Logo>{' '}</GraphiQL.Logo>
        </GraphiQL>
      )}
    </main>
  )
}

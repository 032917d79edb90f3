import {explorerPlugin} from '@graphiql/plugin-explorer'
import {GraphiQL, HISTORY_PLUGIN} from 'graphiql'
import {useEffect, useState} from 'react'

import {exampleTabs, linkedTab} from './examples.js'
import {graphiqlStorage} from './storage.js'

const plugins = [HISTORY_PLUGIN, explorerPlugin({showAttribution: false})]
const linked = linkedTab(location.search)

export function Explorer({fetcher, request}) {
  const [examples, setExamples] = useState(null)
  useEffect(() => {
    exampleTabs(request).then(setExamples)
  }, [request])

  return (
    <main className="explorer" aria-busy={!examples}>
      {examples && (
        <GraphiQL
          fetcher={fetcher}
          plugins={plugins}
          storage={graphiqlStorage}
          initialQuery={linked?.query}
          initialVariables={linked?.variables}
          defaultEditorToolsVisibility="variables"
          defaultTabs={linked ? [linked, ...examples] : examples}
        >
          <GraphiQL.Logo>{' '}</GraphiQL.Logo>
        </GraphiQL>
      )}
    </main>
  )
}

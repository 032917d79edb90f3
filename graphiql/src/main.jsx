import './workers.js'

import {createRoot} from 'react-dom/client'

import {createFetcher, createLive, createRequest, signedFetch} from './api.js'
import {App} from './app.jsx'
import {createAuth} from './auth.js'
import 'graphiql/style.css'
import '@graphiql/plugin-explorer/style.css'
import './app.css'

const fetch = window.fetch.bind(window)
const auth = createAuth({fetch, storage: sessionStorage})
const signed = signedFetch(auth, fetch)
const live = createLive(auth, location)

createRoot(document.getElementById('root')).render(
  <App auth={auth} live={live} request={createRequest(signed)} fetcher={createFetcher(signed, live)} />,
)

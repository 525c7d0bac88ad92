import { parseArgs } from 'node:util'
import { loadConfig } from '../../shared/config.ts'
import { queryApiProcessSettings } from '../cluster.ts'

/**
 * The health check of a container, with nothing but node: asks `/healthz`, or with `--ready` `/readyz`, at OPS_PORT and at
 * HTTP_PORT, because the one-process Sluice has only the latter. Ends with an error when neither answers well.
 */
const { OPS_PORT, HTTP_PORT } = queryApiProcessSettings
const config = loadConfig({ OPS_PORT, HTTP_PORT })
const { values } = parseArgs({ options: { ready: { type: 'boolean', default: false } } })
const path = values.ready ? 'readyz' : 'healthz'
const LIMIT_MS = 4000

await Promise.any(
  [config.OPS_PORT, config.HTTP_PORT].map(async (port) => {
    const response = await fetch(`http://127.0.0.1:${port}/${path}`, { signal: AbortSignal.timeout(LIMIT_MS) })
    const body = await response.text()
    if (!response.ok) throw new Error(`${port} answered ${response.status}: ${body}`)
  }),
)

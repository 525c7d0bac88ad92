import { secret, text } from '../shared/config.ts'
import { isNetwork, list } from './listeners.ts'

/** Who may read `/metrics`, in every process. */
export const metricsSettings = {
  METRICS_TOKEN: secret('Token that reads /metrics and nothing else, as Authorization: Bearer; off when unset.'),
  METRICS_FROM: list(
    'Addresses or networks of scrapers, separated by commas, that read /metrics without a token; not through a proxy.',
    isNetwork,
    'an address or network',
  ),
} as const

export const OPS_ADDRESS = text('127.0.0.1', 'Listening address of /healthz, /readyz and /metrics.')

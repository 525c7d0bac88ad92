import type { FirstStart } from './first-start.ts'

/** What a start tells whoever started it. */
export interface StartFacts {
  readonly mqtt: { readonly host: string; readonly port: number }
  readonly http: { readonly host: string; readonly port: number }
  /** The other ways into the broker: tls, ws, wss. */
  readonly more: readonly { readonly kind: string; readonly host: string; readonly port: number }[]
  readonly publicUrl: string | undefined
  readonly lan: boolean
  readonly folder: string
  readonly first: FirstStart
  readonly version: string
  /** Days that readings are kept at most; 0 = for ever. */
  readonly keepDays: number
}

const WAYS: Readonly<Record<string, string>> = { tls: 'MQTTS   ', ws: 'WS      ', wss: 'WSS     ', ops: 'Probes  ' }

/**
 * What a person sees when Sluice is ready: where it listens, and commands that work when pasted. `showToken` puts the
 * API key into the link to the page: for a terminal, not for a journal that keeps every start.
 */
export function banner(facts: StartFacts, { showToken }: { showToken: boolean }): string {
  const { mqtt, first } = facts
  const url = httpUrl(facts)
  const lines = [
    '',
    `  Sluice ${facts.version} is ready`,
    '',
    `  MQTT    ${mqtt.host}:${mqtt.port}  (3.1.1 and 5, login required)`,
    ...facts.more.map(({ kind, host, port }) => `  ${WAYS[kind] ?? kind}${host}:${port}`),
    `  HTTP    ${url}  (API description: ${url}/docs)`,
    `  Page    ${url}/${showToken ? `#token=${first.token}` : '  (asks for the token)'}`,
    `  Data    ${facts.folder}`,
    `  Keeps   readings ${keptText(facts.keepDays)}  (./sluice retention)`,
    `  Token   ${first.tokenFile}`,
    '',
  ]
  if (facts.lan) lines.push('  Others on this network can read plain MQTT and HTTP.', '')
  return [...lines, ...tryIt(facts, url), ''].join('\n')
}

function keptText(days: number): string {
  return days === 0 ? 'for ever' : `for ${days} days at most`
}

function tryIt({ mqtt, first }: StartFacts, url: string): string[] {
  const host = mqtt.host === '127.0.0.1' ? 'localhost' : mqtt.host
  const device = first.device
  if (device === undefined) return ['  Create a device: ./sluice devices add demo/second', '']
  return [
    '  Send a first reading (the secret is not shown again), then read it back:',
    '',
    `  mosquitto_pub -h ${host} -p ${mqtt.port} -u ${device.username} -P ${device.secret} -q 1 \\`,
    `    -t t/${device.username}/telemetry -m '{"temperature":21.5}'`,
    '',
    `  curl -H "Authorization: Bearer $(cat ${first.tokenFile})" ${url}/v1/devices/${device.username}/latest`,
    '',
  ]
}

/** The same for a program. Holds the credentials of the first device, once; the API key stays in its file. */
export function startReport(facts: StartFacts): Record<string, unknown> {
  const { version, mqtt, more, folder, first } = facts
  const ways = Object.fromEntries(more.map(({ kind, host, port }) => [kind, { host, port }]))
  return {
    version,
    mqtt,
    ...ways,
    url: httpUrl(facts),
    folder,
    tokenFile: first.tokenFile,
    device: first.device ?? null,
  }
}

function httpUrl({ publicUrl, http }: StartFacts): string {
  return publicUrl ?? `http://${http.host}:${http.port}`
}

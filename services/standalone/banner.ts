import type { FirstStart } from './first-start.ts'

export interface BannerFacts {
  readonly mqtt: { readonly host: string; readonly port: number }
  readonly http: { readonly host: string; readonly port: number }
  readonly publicUrl: string | undefined
  readonly lan: boolean
  readonly folder: string
  readonly first: FirstStart
  readonly version: string
}

/** What a person sees when Sluice is ready: where it listens, and commands that work when pasted. */
export function banner(facts: BannerFacts): string {
  const { mqtt, first } = facts
  const url = facts.publicUrl ?? `http://${facts.http.host}:${facts.http.port}`
  const lines = [
    '',
    `  Sluice ${facts.version} is ready`,
    '',
    `  MQTT    ${mqtt.host}:${mqtt.port}  (3.1.1, login required)`,
    `  HTTP    ${url}  (API description: ${url}/docs)`,
    `  Page    ${url}/#token=${first.token}`,
    `  Data    ${facts.folder}`,
    `  Token   ${first.tokenFile}`,
    '',
  ]
  if (facts.lan) lines.push('  Plain MQTT and HTTP on this network can be read by others on it.', '')
  return [...lines, ...tryIt(facts, url), ''].join('\n')
}

function tryIt({ mqtt, first }: BannerFacts, url: string): string[] {
  const host = mqtt.host === '127.0.0.1' ? 'localhost' : mqtt.host
  const device = first.device
  if (device === undefined) return ['  Make a device: ./sluice devices add demo/second', '']
  return [
    '  Send a first reading (the secret is shown only now), then read it back:',
    '',
    `  mosquitto_pub -h ${host} -p ${mqtt.port} -u ${device.username} -P ${device.secret} -q 1 \\`,
    `    -t t/${device.username}/telemetry -m '{"temperature":21.5}'`,
    '',
    `  curl -H "Authorization: Bearer $(cat ${first.tokenFile})" ${url}/v1/devices/${device.username}/latest`,
    '',
  ]
}

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadConfig, requiredSecret, text } from '../../shared/config.ts'
import { replaceFile } from '../../shared/storage/replace-file.ts'
import { influxSettings } from '../cluster.ts'

/**
 * Sets InfluxDB up and leaves two tokens as files named `token`: one for the workers and one for the API, which
 * deletes readings. May run at every start: a token that works and may do all that is kept, another one is replaced.
 */
const config = loadConfig({
  INFLUX_URL: influxSettings.INFLUX_URL,
  INFLUX_ORG: influxSettings.INFLUX_ORG,
  INFLUX_BUCKET: influxSettings.INFLUX_BUCKET,
  INFLUX_ADMIN_PASSWORD: requiredSecret('Password of the user "operator", for people.'),
  INFLUX_ADMIN_TOKEN: requiredSecret('Token of the operator; no service but this one has it.'),
  WORKER_TOKEN_FOLDER: text('/tokens/worker', 'Where the token of the workers goes.'),
  API_TOKEN_FOLDER: text('/tokens/api', 'Where the token of the API goes.'),
})
const LIMIT_MS = 10_000

interface Authorization {
  readonly id: string
  readonly description: string
  readonly permissions: readonly { readonly action: string }[]
}

await setUp()
const orgID = await findOrg()
const bucketID = await findOrMakeBucket()
await provide('sluice ingest-worker', ['read', 'write'], config.WORKER_TOKEN_FOLDER)
await provide('sluice query-api', ['read', 'write'], config.API_TOKEN_FOLDER)

/** Works once in the life of a server; afterwards the operator's token must be the one that it was set up with. */
async function setUp(): Promise<void> {
  const { allowed } = await expectJson<{ allowed: boolean }>(await call('GET', '/setup'))
  if (!allowed) return
  const { INFLUX_ORG: org, INFLUX_BUCKET: bucket, INFLUX_ADMIN_PASSWORD: password, INFLUX_ADMIN_TOKEN: token } = config
  const body = { username: 'operator', password, org, bucket, token, retentionPeriodSeconds: 0 }
  await expectJson(await call('POST', '/setup', { body }))
}

async function findOrg(): Promise<string> {
  const response = await call('GET', `/orgs?org=${encodeURIComponent(config.INFLUX_ORG)}`)
  if (response.status === 401) {
    throw new Error('InfluxDB refuses INFLUX_ADMIN_TOKEN: its data was set up with another; restore that secret')
  }
  const { orgs } = await expectJson<{ orgs: { id: string }[] }>(response)
  return found(orgs[0], `organisation ${config.INFLUX_ORG}`)
}

async function findOrMakeBucket(): Promise<string> {
  const name = config.INFLUX_BUCKET
  const response = await call('GET', `/buckets?orgID=${orgID}&name=${encodeURIComponent(name)}`)
  if (response.status !== 404) {
    const [bucket] = (await expectJson<{ buckets: { id: string }[] }>(response)).buckets
    if (bucket !== undefined) return bucket.id
  }
  const body = { orgID, name, retentionRules: [] }
  return found(await expectJson<{ id: string }>(await call('POST', '/buckets', { body })), `bucket ${name}`)
}

async function provide(description: string, actions: readonly string[], folder: string): Promise<void> {
  const file = join(folder, 'token')
  if (existsSync(file) && (await isAccepted(readFileSync(file, 'utf8'))) && (await mayDo(description, actions))) return
  const resource = { type: 'buckets', id: bucketID, orgID }
  const body = { orgID, description, permissions: actions.map((action) => ({ action, resource })) }
  const made = await expectJson<{ id: string; token: string }>(await call('POST', '/authorizations', { body }))
  replaceFile(file, made.token, 0o600)
  await removeOthers(description, made.id)
}

/** Whatever a token may do, the server knows it or it does not. */
async function isAccepted(token: string): Promise<boolean> {
  const response = await call('GET', '/buckets?limit=1', { token })
  if (response.status !== 401) await expectJson(response)
  return response.status !== 401
}

/** Whether the token with this description, of which there is one, was given these rights. */
async function mayDo(description: string, actions: readonly string[]): Promise<boolean> {
  const given = (await tokensOf(description)).map(({ permissions }) => permissions.map(({ action }) => action))
  return given.some((its) => actions.every((action) => its.includes(action)))
}

async function removeOthers(description: string, kept: string): Promise<void> {
  for (const { id } of (await tokensOf(description)).filter((it) => it.id !== kept)) {
    const removed = await call('DELETE', `/authorizations/${id}`)
    if (!removed.ok) throw new Error(`InfluxDB answered ${removed.status}: ${await removed.text()}`)
  }
}

async function tokensOf(description: string): Promise<Authorization[]> {
  const response = await call('GET', `/authorizations?orgID=${orgID}`)
  const { authorizations } = await expectJson<{ authorizations: Authorization[] }>(response)
  return authorizations.filter((it) => it.description === description)
}

function call(method: string, path: string, { body, token }: { body?: object; token?: string } = {}) {
  return fetch(`${config.INFLUX_URL}/api/v2${path}`, {
    method,
    headers: { authorization: `Token ${token ?? config.INFLUX_ADMIN_TOKEN}`, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(LIMIT_MS),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

async function expectJson<T>(response: Response): Promise<T> {
  const text = await response.text()
  if (!response.ok) throw new Error(`InfluxDB answered ${response.status}: ${text}`)
  return JSON.parse(text) as T
}

function found(resource: { readonly id: string } | undefined, name: string): string {
  if (resource === undefined) throw new Error(`InfluxDB has no ${name}`)
  return resource.id
}

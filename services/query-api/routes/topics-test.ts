import Type, { type Static } from 'typebox'
import { explain } from '../../../shared/acl.ts'
import { decodeRecords, SeriesTable } from '../../../shared/decoders/decode.ts'
import { learn } from '../../../shared/decoders/learn.ts'
import { ERRORS, SluiceError, type ErrorCode } from '../../../shared/errors.ts'
import { canPublishAs } from '../../../shared/former-names.ts'
import type { Principal, Registry } from '../../../shared/registry/port.ts'
import { createRouter, type TelemetryRoute } from '../../../shared/topic-routes.ts'
import { deviceKey, parseDeviceKey, parseDeviceTopic, parseTelemetryTopic } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { NOTHING, PayloadVerdict, viewVerdict } from '../payload-verdict.ts'
import { problemResponses } from '../problem.ts'

const Body = Type.Object(
  {
    topic: Type.String({ maxLength: 2048 }),
    payload: Type.Optional(Type.String({ description: 'Text.' })),
    payloadBase64: Type.Optional(Type.String({ description: 'Bytes.', format: 'byte' })),
    as: Type.Optional(
      Type.String({ description: 'tenant/device, or an application; the device of the topic when absent.' }),
    ),
  },
  { additionalProperties: false },
)

const Refusal = Type.Object({ code: Type.String(), detail: Type.String(), fix: Type.String() })

const Answer = Type.Object({
  who: Type.String({ description: 'The login that would publish it.' }),
  end: Type.Enum(['telemetry', 'messages', 'refused'], {
    description: 'telemetry: into the log; messages: to subscribers, and is not stored; refused: turned away.',
  }),
  refusal: Type.Union([Refusal, Type.Null()]),
  notes: Type.Array(Type.String(), {
    description: 'What else matters: a login that is disabled, a device that is made.',
  }),
  ...PayloadVerdict.properties,
})

/** A login, and what else is known of it. */
interface Login {
  readonly principal: Principal
  readonly isDisabled: boolean
  readonly makesDevices: boolean
}

/** What would become of a message, by the code of brokers and workers. */
type Parts = ApiParts<'registry' | 'settings' | 'uploaded'>

export function topicTestRoute(app: Api, options: Parts): void {
  app.post(
    '/topics/test',
    {
      bodyLimit: 2 * options.settings.MAX_PACKET_BYTES + 65_536,
      schema: {
        tags: ['readings'],
        summary: 'What would become of a message',
        description:
          'Decided by the code by which brokers and workers decide. Nothing is written, and nothing that is stored is looked ' +
          'at: limits of fields, rates, and values that take the place of others are not part of it.',
        body: Body,
        response: { 200: Answer, ...problemResponses },
      },
    },
    ({ body }) => outcomeOf(options, body),
  )
}

/** Errors: `bad_request`, `not_found` for a login that is none. */
async function outcomeOf(
  { registry, settings, uploaded }: Parts,
  { topic, payload, payloadBase64, as }: Static<typeof Body>,
): Promise<Static<typeof Answer>> {
  if (payload !== undefined && payloadBase64 !== undefined) {
    throw new SluiceError('bad_request', 'Say either "payload" or "payloadBase64".')
  }
  const { names } = registry
  const who = as ?? ownLogin(names, topic)
  const refuse = (code: ErrorCode, detail: string): Static<typeof Answer> => {
    return { who: who ?? '', end: 'refused', refusal: { code, detail, fix: ERRORS[code].fix }, notes: [], ...NOTHING }
  }
  const login = who === undefined ? undefined : await loginOf(registry, who)
  if (login === undefined && as !== undefined) {
    throw new SluiceError('not_found', `No such login: ${JSON.stringify(as.slice(0, 160))}.`)
  }
  const canPublish = (one: Principal, to: string): boolean => canPublishAs(names, one, to)
  const route = createRouter({ canPublish, explain }, registry)(login?.principal ?? ANYBODY, topic)
  if (route.lane === 'refused') return refuse(route.code, route.detail)
  if (login === undefined) {
    if (who !== undefined) return refuse('device_unknown', 'there is no such device')
    throw new SluiceError('bad_request', 'The topic names no device: say with "as" who publishes to it.')
  }
  const { name, kind } = login.principal
  const notes = login.isDisabled ? [`The login ${JSON.stringify(name)} is disabled: it cannot connect.`] : []
  if (route.lane === 'aedes') return { who: name, end: 'messages', refusal: null, notes, ...NOTHING }
  const value = payloadBase64 === undefined ? Buffer.from(payload ?? '') : Buffer.from(payloadBase64, 'base64')
  const most = settings.MAX_PACKET_BYTES
  if (value.length > most) return refuse('payload_too_large', `${value.length} bytes, and MAX_PACKET_BYTES is ${most}`)
  const named = kind === 'application' ? parseTelemetryTopic(topic) : undefined
  const isMade = named !== undefined && !names.isKnown(named.tenant, named.device)
  if (isMade && !login.makesDevices) return refuse('device_unknown', 'there is no such device')
  if (isMade) notes.push('The device is made by its first message, unless somebody removed it.')
  const verdict = await verdictOf({ registry, uploaded }, route, value, isMade ? named.device : undefined)
  return { who: name, end: 'telemetry', refusal: null, notes, ...verdict }
}

/** May publish whatever is a topic. */
const ANYBODY: Principal = {
  kind: 'application',
  name: '',
  rules: [{ effect: 'allow', action: 'publish', topic: '#' }],
}

/** The device that a topic names, also by a former name, as it is called now. */
function ownLogin(names: Registry['names'], topic: string): string | undefined {
  const own = parseDeviceTopic(topic)
  return own && deviceKey(own.tenant, names.nameOf(own.tenant, names.uidOf(own.tenant, own.device)))
}

async function loginOf(registry: Registry, who: string): Promise<Login | undefined> {
  const name = parseDeviceKey(who)
  if (name !== undefined) {
    const device = await registry.getDevice(name.tenant, name.device)
    if (device === undefined) return undefined
    const { uid, login } = device
    const principal: Principal = { kind: 'device', name: who, ...name, uid }
    return { principal, isDisabled: login.disabled, makesDevices: false }
  }
  const application = await registry.getApplication(who)
  if (application === undefined) return undefined
  const { rules, login, createsDevices } = application
  return {
    principal: { kind: 'application', name: who, rules },
    isDisabled: login.disabled,
    makesDevices: createsDevices,
  }
}

/** With tables of its own: what one payload makes a decoder learn is of no use to the next. */
async function verdictOf(
  { registry, uploaded }: ApiParts<'registry' | 'uploaded'>,
  { key, headers }: TelemetryRoute,
  value: Uint8Array,
  expected: string | undefined,
): Promise<PayloadVerdict> {
  const table = new SeriesTable({ maxSeries: 1, uploaded })
  const record = { key, value, ms: Date.now(), ns: 0, headers: headers.usual }
  await learn(table, [record], registry)
  return viewVerdict(decodeRecords([record], table), record, registry, expected)
}

import Type from 'typebox'
import { isCommandName } from '../../../shared/commands.ts'
import { SluiceError } from '../../../shared/errors.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { problemResponses } from '../problem.ts'
import { DeviceParams, requireDevice } from './devices.ts'

/** What one MQTT packet of a device may hold by default, with room for the topic. */
const MAX_PAYLOAD_BYTES = 60_000
const MAX_EXPIRY_SECONDS = 31_536_000

const CommandBody = Type.Object(
  {
    name: Type.String({ description: 'Topic below cmd/, such as restart or valve/open.' }),
    payload: Type.Optional(Type.Unknown({ description: 'A string is sent as it is, anything else as JSON.' })),
    payloadBase64: Type.Optional(Type.String({ description: 'Binary payload, instead of payload.' })),
    qos: Type.Optional(Type.Integer({ minimum: 0, maximum: 2, description: '1 by default.' })),
    expirySeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_EXPIRY_SECONDS,
        description: 'Dropped unless the device connects within this time.',
      }),
    ),
  },
  { additionalProperties: false },
)

/** What goes down to devices. */
export function commandRoutes(app: Api, options: ApiParts<'registry' | 'nodes'>): void {
  app.post(
    '/devices/:tenant/:device/commands',
    {
      schema: {
        tags: ['devices'],
        summary: 'Publish to cmd/... of a device, and report the outcome',
        params: DeviceParams,
        body: CommandBody,
        response: {
          200: Type.Object({
            result: Type.Enum(['delivered', 'queued', 'no_session'], {
              description: 'For the sessions of the device itself; subscribed applications receive it in any case.',
            }),
          }),
          ...problemResponses,
        },
      },
    },
    async (request) => {
      const { tenant, device } = request.params
      const { name, qos = 1, expirySeconds } = request.body
      await requireDevice(options.registry, tenant, device)
      if (!isCommandName(name)) throw new SluiceError('bad_request', '"name" is not a valid topic, or is too long')
      const expiresMs = expirySeconds === undefined ? undefined : Date.now() + expirySeconds * 1000
      const payload = payloadOf(request.body)
      const level = qos === 2 ? 2 : qos === 1 ? 1 : 0
      const result = await options.nodes.send({ tenant, device, name, payload, qos: level, expiresMs })
      await recordAction(options, request, 'device.command', `${tenant}/${device}`)
      return { result }
    },
  )
}

/** Error: `bad_request`. */
function payloadOf({ payload, payloadBase64 }: { payload?: unknown; payloadBase64?: string }): Buffer {
  if (payload !== undefined && payloadBase64 !== undefined) {
    throw new SluiceError('bad_request', '"payload" and "payloadBase64" are mutually exclusive')
  }
  const text = typeof payload === 'string' ? payload : payload === undefined ? '' : JSON.stringify(payload)
  const bytes = payloadBase64 === undefined ? Buffer.from(text) : Buffer.from(payloadBase64, 'base64')
  if (bytes.byteLength <= MAX_PAYLOAD_BYTES) return bytes
  throw new SluiceError('bad_request', `the payload has ${bytes.byteLength} bytes; the maximum is ${MAX_PAYLOAD_BYTES}`)
}

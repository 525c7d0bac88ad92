import type { FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'
import { formatInstant } from '../../../shared/telemetry.ts'
import { deviceKey } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { problemResponses } from '../problem.ts'
import { Credentials, DeviceParams } from './devices.ts'

const DAY_S = 86_400
const DEFAULT_OVERLAP_S = 7 * DAY_S
const Rotation = Type.Object(
  {
    overlapSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 92 * DAY_S,
        default: DEFAULT_OVERLAP_S,
        description: 'The old credential ends after this time (7 days), or when the new one is first used.',
      }),
    ),
  },
  { additionalProperties: false },
)
const Rotated = Type.Object({
  ...Credentials,
  oldEndsAt: Type.String({
    format: 'date-time',
    description: 'At the latest; the first use of the new one ends it earlier.',
  }),
})

/** What a path names, and the name of its login. */
interface Kind {
  readonly path: string
  readonly tag: string
  readonly what: string
}

const DEVICE: Kind = { path: '/devices/:tenant/:device', tag: 'devices', what: 'a device' }
const APPLICATION: Kind = { path: '/applications/:name', tag: 'applications', what: 'an application' }
const ApplicationParams = Type.Object({ name: Type.String() })

/** What ends and replaces credentials, for devices and applications alike. */
export function credentialRoutes(app: Api, options: ApiParts<'registry'>): void {
  deviceRoutes(app, options)
  applicationRoutes(app, options)
}

function deviceRoutes(app: Api, options: ApiParts<'registry'>): void {
  const { rotate, end } = actions(options)
  const rotation = { ...rotateSchema(DEVICE), params: DeviceParams }
  app.post(`${DEVICE.path}/rotate`, { schema: rotation }, async (request, reply) => {
    const { tenant, device } = request.params
    return reply.code(201).send(await rotate(request, deviceKey(tenant, device)))
  })
  for (const action of ENDINGS) {
    const schema = { ...endingSchema(DEVICE, action), params: DeviceParams }
    app.post(`${DEVICE.path}/${action}`, { schema }, async (request) => {
      const { tenant, device } = request.params
      return end(action, request, deviceKey(tenant, device))
    })
  }
}

function applicationRoutes(app: Api, options: ApiParts<'registry'>): void {
  const { rotate, end } = actions(options)
  const rotation = { ...rotateSchema(APPLICATION), params: ApplicationParams }
  app.post(`${APPLICATION.path}/rotate`, { schema: rotation }, async (request, reply) =>
    reply.code(201).send(await rotate(request, request.params.name)),
  )
  for (const action of ENDINGS) {
    const schema = { ...endingSchema(APPLICATION, action), params: ApplicationParams }
    app.post(`${APPLICATION.path}/${action}`, { schema }, async (request) => end(action, request, request.params.name))
  }
}

const ENDINGS = ['revoke', 'disable', 'enable'] as const
type Ending = (typeof ENDINGS)[number]

const SUMMARIES: Readonly<Record<Ending, string>> = {
  revoke:
    'Revoke all credentials, disable it and close its connections within 2 s; session and retained messages are removed',
  disable: 'Refuse all its logins and close its connections within 2 s, until it is enabled',
  enable: 'Accept its logins again',
}

function rotateSchema({ tag, what }: Kind) {
  return {
    tags: [tag],
    summary: `Give ${what} a new credential in addition to the one in use; no connection is closed`,
    body: Rotation,
    response: { 201: Rotated, ...problemResponses },
  }
}

function endingSchema({ tag, what }: Kind, action: Ending) {
  return {
    tags: [tag],
    summary: `${SUMMARIES[action]} (${what})`,
    response: { 200: Type.Object({ disabled: Type.Boolean() }), ...problemResponses },
  }
}

function actions(options: ApiParts<'registry'>) {
  const { credentials } = options.registry
  const kindOf = (name: string): string => (name.includes('/') ? 'device' : 'application')
  return {
    async rotate(request: RotateRequest, name: string): Promise<Static<typeof Rotated>> {
      const overlapMs = (request.body.overlapSeconds ?? DEFAULT_OVERLAP_S) * 1000
      const { oldEndsMs, ...made } = await credentials.rotate(name, overlapMs)
      await recordAction(options, request, `${kindOf(name)}.rotate`, name)
      return { ...made, oldEndsAt: formatInstant({ ms: oldEndsMs, ns: 0 }) }
    },
    async end(action: Ending, request: FastifyRequest, name: string): Promise<{ disabled: boolean }> {
      const disabled = action !== 'enable'
      if (action === 'revoke') await credentials.revoke(name)
      else await credentials.setDisabled(name, disabled)
      await recordAction(options, request, `${kindOf(name)}.${action}`, name)
      return { disabled }
    },
  }
}

type RotateRequest = FastifyRequest & { readonly body: Static<typeof Rotation> }

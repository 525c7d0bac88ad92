import Type, { type Static } from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import type { CredentialInfo } from '../../../shared/registry/identity-port.ts'
import type { Device, Registry } from '../../../shared/registry/port.ts'
import { deviceKey } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { MAX_FIELDS_LISTED, pageOfFields, StreamsView } from '../field-pages.ts'
import { recordAction } from '../audit.ts'
import { addSilence } from '../silent-fields.ts'
import { ClockView, viewClock } from '../clock-view.ts'
import { markUsed } from '../used-names.ts'
import { LimitsView, PresenceView, viewPresence, type Heard } from '../presence.ts'
import { problemResponses } from '../problem.ts'
import { rfc3339, TimeOrNull } from '../time.ts'

/** What a new login is told, once. */
export const Credentials = {
  username: Type.String(),
  secret: Type.String({ description: 'Password for the username. Not shown again.' }),
  token: Type.String({ description: 'Instead of both: sent as the username, without a password. Not shown again.' }),
}
const Tenant = Type.String({ description: '1 to 64 characters of A-Z a-z 0-9 _ . -' })
const DeviceName = Type.String({ description: '1 to 128 bytes of UTF-8 without characters that nobody sees.' })
const Tags = Type.Record(Type.String(), Type.String({ maxLength: 256 }), { maxProperties: 32 })
export const NewDevice = Type.Object(
  {
    tenant: Tenant,
    device: DeviceName,
    tags: Type.Optional(Tags),
    adopt: Type.Optional(
      Type.String({
        maxLength: 128,
        description: 'Take on the readings of a device of the tenant that was removed: its uid, or its last name.',
      }),
    ),
  },
  { additionalProperties: false },
)
export const CreatedDevice = Type.Object({ tenant: Type.String(), device: Type.String(), ...Credentials })
export const DeviceView = Type.Object({
  tenant: Type.String(),
  device: Type.String(),
  uid: Type.String({ description: 'What everything of the device is stored under. It never changes.' }),
  tags: Tags,
  createdAt: TimeOrNull,
  lastSeen: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: 'When the newest of its readings was received.',
  }),
  connected: Type.Boolean({ description: 'Whether it has a connection over MQTT.' }),
  lastHeard: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: 'When anything came of it, a PINGREQ or a reading: to the second while it is connected.',
  }),
  disabled: Type.Boolean({ description: 'Whether its logins are refused.' }),
})
const CredentialView = Type.Object({
  id: Type.String(),
  username: Type.String(),
  kind: Type.Enum(['issued', 'imported']),
  createdAt: TimeOrNull,
  lastUsed: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: 'Updated at most once an hour.',
  }),
  expiresAt: TimeOrNull,
})
const NEVER_HEARD: Heard = { connected: false, lastHeardMs: undefined }

/** Path of everything that belongs to one device. */
export const DeviceParams = Type.Object({ tenant: Type.String(), device: Type.String() })

/** Error: `not_found`. */
export async function requireDevice(registry: Registry, tenant: string, device: string): Promise<Device> {
  const found = await registry.getDevice(tenant, device)
  if (found === undefined) throw new SluiceError('not_found', `No such device: ${tenant}/${device}.`)
  return found
}

export function deviceRoutes(app: Api, options: ApiParts<'registry' | 'points' | 'nodes' | 'cache' | 'logger'>): void {
  const { registry } = options
  createRoutes(app, options)
  showRoute(app, options)
  fieldsRoute(app, options)
  app.delete(
    '/devices/:tenant/:device',
    {
      schema: {
        tags: ['devices'],
        summary:
          'Remove a device and its login; its readings are kept, but are not those of a later device of the same name',
        params: DeviceParams,
        response: { 204: Type.Null({ description: 'Removed.' }), ...problemResponses },
      },
    },
    async (request, reply) => {
      const { tenant, device } = request.params
      await registry.removeDevice(tenant, device)
      await recordAction(options, request, 'device.remove', `${tenant}/${device}`)
      return reply.code(204).send(null)
    },
  )
}

function createRoutes(app: Api, options: ApiParts<'registry' | 'points' | 'logger'>): void {
  app.post(
    '/devices',
    {
      schema: {
        tags: ['devices'],
        summary: 'Create a device and its login; secret and token are not shown again',
        body: NewDevice,
        response: { 201: CreatedDevice, ...problemResponses },
      },
    },
    async (request, reply) => {
      const [created] = await createDevices(options, [request.body])
      if (created === undefined) throw new SluiceError('internal', 'the registry answered without credentials')
      await recordAction(options, request, 'device.create', created.username)
      return reply.code(201).send(created)
    },
  )
}

function showRoute(app: Api, parts: ApiParts<'registry' | 'points' | 'nodes' | 'cache'>): void {
  const { registry, points } = parts
  app.get(
    '/devices/:tenant/:device',
    {
      schema: {
        tags: ['devices'],
        summary: 'One device with its streams and their fields',
        params: DeviceParams,
        response: {
          200: Type.Evaluate(
            Type.Intersect([
              DeviceView,
              Type.Object({
                credentials: Type.Array(CredentialView),
                streams: StreamsView,
                moreFields: Type.Union([Type.String(), Type.Null()], {
                  description: 'Cursor of the fields beyond the first 1,000, for .../fields.',
                }),
                presence: PresenceView,
                limits: LimitsView,
                clock: ClockView,
              }),
            ]),
          ),
          ...problemResponses,
        },
      },
    },
    async ({ params }) => {
      const device = await requireDevice(registry, params.tenant, params.device)
      const known = await points.series(device.tenant, device.uid)
      const { streams, next } = pageOfFields({ registry, tenant: device.tenant }, known, MAX_FIELDS_LISTED)
      await addSilence(parts, device, streams)
      const { presence, limits, ...heard } = await viewPresence(parts, device)
      const credentials = await registry.credentials.list(deviceKey(params.tenant, params.device))
      return {
        ...viewDevice(device, heard),
        credentials: credentials.map(viewCredential),
        streams,
        moreFields: next,
        presence,
        limits,
        clock: viewClock(await registry.readState(device.tenant, device.uid)),
      }
    },
  )
}

/** The streams of a device and their fields, page by page. */
function fieldsRoute(app: Api, { registry, points }: ApiParts<'registry' | 'points'>): void {
  app.get(
    '/devices/:tenant/:device/fields',
    {
      schema: {
        tags: ['devices'],
        summary: 'The streams of a device and their fields, by name',
        params: DeviceParams,
        querystring: Type.Object(
          {
            limit: Type.Integer({ minimum: 1, maximum: MAX_FIELDS_LISTED, default: 100 }),
            cursor: Type.Optional(Type.String({ maxLength: 4096 })),
          },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({ streams: StreamsView, next: Type.Union([Type.String(), Type.Null()]) }),
          ...problemResponses,
        },
      },
    },
    async ({ params, query }) => {
      const { tenant, uid } = await requireDevice(registry, params.tenant, params.device)
      return pageOfFields({ registry, tenant }, await points.series(tenant, uid), query.limit, query.cursor)
    },
  )
}

export async function createDevices(
  options: ApiParts<'registry' | 'points' | 'logger'>,
  devices: readonly Static<typeof NewDevice>[],
): Promise<Static<typeof CreatedDevice>[]> {
  const credentials = await options.registry.createDevices(await markUsed(options, devices))
  return devices.flatMap(({ tenant, device }, index) => {
    const login = credentials[index]
    return login === undefined ? [] : [{ tenant, device, ...login }]
  })
}

export function viewDevice(found: Device, { connected, lastHeardMs }: Heard = NEVER_HEARD): Static<typeof DeviceView> {
  const { tenant, device, uid, tags, createdMs, lastSeenMs, login } = found
  const times = { createdAt: rfc3339(createdMs), lastSeen: rfc3339(lastSeenMs), lastHeard: rfc3339(lastHeardMs) }
  return { tenant, device, uid, tags: { ...tags }, ...times, connected, disabled: login.disabled }
}

function viewCredential(info: CredentialInfo): Static<typeof CredentialView> {
  const { id, username, kind, createdMs, lastUsedMs, expiresMs } = info
  const times = { createdAt: rfc3339(createdMs), lastUsed: rfc3339(lastUsedMs), expiresAt: rfc3339(expiresMs) }
  return { id, username, kind, ...times }
}

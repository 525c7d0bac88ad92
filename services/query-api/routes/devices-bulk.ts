import Type, { type Static } from 'typebox'
import { deviceKey } from '../../../shared/topics.ts'
import type { DeviceName } from '../../../shared/registry/names.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordActions } from '../audit.ts'
import { problemResponses } from '../problem.ts'
import { CreatedDevice, createDevices, DeviceParams, NewDevice } from './devices.ts'

const MAX_DEVICES = 1_000
const Existing = Type.Enum(['fail', 'skip'], {
  description: 'How to treat devices that exist: as an error, so that none is created (default), or skip them.',
})

/** Many devices with one request. */
export function bulkRoutes(app: Api, options: ApiParts<'registry' | 'points' | 'logger'>): void {
  createRoute(app, options)
  removeRoute(app, options)
}

function createRoute(app: Api, options: ApiParts<'registry' | 'points' | 'logger'>): void {
  app.post(
    '/devices/bulk',
    {
      schema: {
        tags: ['devices'],
        summary: 'Create up to 1,000 devices: all that do not exist, or none',
        body: Type.Object(
          {
            devices: Type.Array(NewDevice, { minItems: 1, maxItems: MAX_DEVICES }),
            existing: Type.Optional(Existing),
            dryRun: Type.Optional(Type.Boolean({ description: 'Only report which exist.' })),
          },
          { additionalProperties: false },
        ),
        response: {
          201: Type.Object({
            devices: Type.Array(CreatedDevice),
            skipped: Type.Array(DeviceParams, { description: 'Devices that exist.' }),
          }),
          ...problemResponses,
        },
      },
    },
    async (request, reply) => {
      const { devices: wanted, existing = 'fail', dryRun = false } = request.body
      const skipped = existing === 'skip' || dryRun ? await options.registry.existingDevices(wanted) : []
      const known = new Set(skipped.map(nameOf))
      const missing = wanted.filter((device) => !known.has(nameOf(device)))
      const devices = dryRun ? [] : await createDevices(options, missing)
      await recordActions(options, request, 'device.create', devices.map(nameOf))
      return reply.code(201).send({ devices, skipped: skipped.map(pick) })
    },
  )
}

function removeRoute(app: Api, options: ApiParts<'registry'>): void {
  app.post(
    '/devices/bulk-remove',
    {
      schema: {
        tags: ['devices'],
        summary: 'Remove up to 1,000 devices and their logins; those that do not exist are skipped',
        body: Type.Object(
          { devices: Type.Array(DeviceParams, { minItems: 1, maxItems: MAX_DEVICES }) },
          { additionalProperties: false },
        ),
        response: { 200: Type.Object({ removed: Type.Array(DeviceParams) }), ...problemResponses },
      },
    },
    async (request) => {
      const removed = await options.registry.removeDevices(request.body.devices)
      await recordActions(options, request, 'device.remove', removed.map(nameOf))
      return { removed: removed.map(pick) }
    },
  )
}

function nameOf({ tenant, device }: DeviceName): string {
  return deviceKey(tenant, device)
}

function pick({ tenant, device }: DeviceName): Static<typeof DeviceParams> {
  return { tenant, device }
}

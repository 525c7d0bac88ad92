import Type from 'typebox'
import { SluiceError } from '../../../shared/errors.ts'
import type { Api, ApiParts } from '../api.ts'
import { heardOf } from '../presence.ts'
import { problemResponses } from '../problem.ts'
import { DeviceView, viewDevice } from './devices.ts'

export function deviceListRoute(app: Api, parts: ApiParts<'registry' | 'nodes'>): void {
  app.get(
    '/devices',
    {
      schema: {
        tags: ['devices'],
        summary: 'Devices by tenant and name, or those that were seen last',
        querystring: Type.Object(
          {
            tenant: Type.Optional(Type.String()),
            search: Type.Optional(
              Type.String({
                minLength: 1,
                maxLength: 200,
                description: 'A part of {tenant}/{device}, of the letters A to Z in either case.',
              }),
            ),
            sort: Type.Enum(['name', 'last_seen'], {
              default: 'name',
              description: 'last_seen: the newest first, then those that never sent; one answer, without a next.',
            }),
            limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
            cursor: Type.Optional(Type.String({ maxLength: 4096 })),
          },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({ devices: Type.Array(DeviceView), next: Type.Union([Type.String(), Type.Null()]) }),
          ...problemResponses,
        },
      },
    },
    async ({ query: { sort, ...query } }) => {
      if (sort === 'last_seen' && query.cursor !== undefined) {
        throw new SluiceError('bad_request', 'parameter "cursor" does not go with sort=last_seen')
      }
      const { registry } = parts
      const { items, next } =
        sort === 'name'
          ? await registry.listDevices(query)
          : { items: await registry.recentDevices(query), next: undefined }
      const heard = await heardOf(parts, items)
      return { devices: items.map((device, index) => viewDevice(device, heard[index])), next: next ?? null }
    },
  )
}

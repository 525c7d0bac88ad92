import Type from 'typebox'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { problemResponses } from '../problem.ts'
import { DeviceParams, requireDevice } from './devices.ts'

/** What a device is called. */
export function deviceNameRoutes(app: Api, options: ApiParts<'registry'>): void {
  app.post(
    '/devices/:tenant/:device/rename',
    {
      schema: {
        tags: ['devices'],
        summary: 'Give a device another name; its readings stay with it',
        description:
          'Credentials stay as they are, with their usernames. Its sessions end. It may go on publishing to the topics of ' +
          'its former name until another device has that name.',
        params: DeviceParams,
        body: Type.Object(
          { device: Type.String({ description: 'The new name: 1 to 128 bytes of UTF-8.' }) },
          { additionalProperties: false },
        ),
        response: {
          200: Type.Object({ tenant: Type.String(), device: Type.String(), uid: Type.String() }),
          ...problemResponses,
        },
      },
    },
    async (request) => {
      const { tenant, device } = request.params
      const { device: to } = request.body
      await options.registry.renameDevice({ tenant, device }, to)
      await recordAction(options, request, 'device.rename', `${tenant}/${device}`, `${tenant}/${to}`)
      const { uid } = await requireDevice(options.registry, tenant, to)
      return { tenant, device: to, uid }
    },
  )
}

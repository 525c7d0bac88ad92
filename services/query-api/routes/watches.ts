import Type from 'typebox'
import { MAX_WATCH_MS } from '../../../shared/registry/watches-port.ts'
import { deviceKey } from '../../../shared/topics.ts'
import type { Api, ApiParts } from '../api.ts'
import { recordAction } from '../audit.ts'
import { problemResponses } from '../problem.ts'
import { DeviceParams, requireDevice } from './devices.ts'

const View = Type.Object({
  tenant: Type.String(),
  device: Type.String(),
  until: Type.String({ format: 'date-time' }),
  who: Type.String(),
})

/** Devices whose messages say how they came and when they passed each stage, for `trace`. */
export function watchRoutes(app: Api, options: ApiParts<'registry'>): void {
  const { watches, names } = options.registry
  const tags = ['readings']
  app.get(
    '/watches',
    {
      schema: {
        tags,
        summary: 'Devices that are under watch',
        response: { 200: Type.Object({ watches: Type.Array(View) }), ...problemResponses },
      },
    },
    async () => ({
      watches: watches.list(Date.now()).map(({ tenant, uid, untilMs, who }) => {
        return { tenant, device: names.nameOf(tenant, uid), until: new Date(untilMs).toISOString(), who }
      }),
    }),
  )
  app.post(
    '/devices/:tenant/:device/watch',
    {
      schema: {
        tags,
        summary: 'Put a device under watch, for a time: messages that come within two seconds may not be',
        description:
          'At most 16 devices at once, each for an hour at most. A watch ends by itself; 0 seconds end it now.',
        params: DeviceParams,
        body: Type.Object(
          { seconds: Type.Integer({ minimum: 0, maximum: MAX_WATCH_MS / 1000 }) },
          { additionalProperties: false },
        ),
        response: { 200: View, ...problemResponses },
      },
    },
    async (request) => {
      const { tenant, device } = request.params
      const { seconds } = request.body
      const { uid } = await requireDevice(options.registry, tenant, device)
      const untilMs = Date.now() + seconds * 1000
      await watches.put({ tenant, uid, untilMs, who: request.who })
      const until = new Date(untilMs).toISOString()
      await recordAction(options, request, 'device.watch', deviceKey(tenant, device), `until ${until}`)
      return { tenant, device, until, who: request.who }
    },
  )
}

import Type from 'typebox'
import type { Api, ApiParts } from '../api.ts'
import { problemResponses } from '../problem.ts'

const Status = Type.Object({
  version: Type.String(),
  mode: Type.Enum(['standalone', 'cluster']),
  mqtt: Type.Union([Type.Object({ host: Type.String(), port: Type.Integer() }), Type.Null()]),
  readings: Type.Union([Type.Integer(), Type.Null()], { description: 'Stored since the start of this process.' }),
})

/** What snippets on the page and in the CLI are filled in with. */
export function statusRoutes(app: Api, { version, status }: ApiParts<'version' | 'status'>): void {
  const schema = {
    tags: ['operation'],
    summary: 'Version, mode and where devices connect',
    response: { 200: Status, ...problemResponses },
  }
  app.get('/status', { schema }, async () => {
    const { mode, mqtt, readings } = status()
    return { version, mode, mqtt: mqtt === undefined ? null : { ...mqtt }, readings: readings ?? null }
  })
}

import Type from 'typebox'
import type { Api, ApiParts } from '../api.ts'
import { problemResponses } from '../problem.ts'
import { rfc3339, TimeOrNull } from '../time.ts'

/** What a process says that it reads. */
export const Features = Type.Array(Type.String(), {
  description: 'Formats that it reads and some version before does not; none of a version that does not say.',
})

const Node = Type.Object({
  id: Type.String(),
  address: Type.Object({ host: Type.String(), port: Type.Integer() }, { description: 'Address of its MQTT listener.' }),
  clients: Type.Integer(),
  inFlight: Type.Integer({ description: 'QoS 1 and 2 messages not acknowledged yet.' }),
  since: TimeOrNull,
  features: Features,
})

/** The broker nodes and their load. */
export function nodeRoutes(app: Api, { nodes }: ApiParts<'nodes'>): void {
  const schema = {
    tags: ['operation'],
    summary: 'The live broker nodes, and their load a second or two ago',
    response: { 200: Type.Object({ nodes: Type.Array(Node) }), ...problemResponses },
  }
  app.get('/nodes', { schema }, async () => ({
    nodes: (await nodes.list()).map(({ id, address, clients, inFlight, sinceMs, features = [] }) => {
      const { host, port } = address
      return { id, address: { host, port }, clients, inFlight, since: rfc3339(sinceMs), features: [...features] }
    }),
  }))
}

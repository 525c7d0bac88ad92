import { startNodes } from '../cluster/nodes.ts'
import { describeConformance, SUITE_APPLICATION, SUITE_RULES } from './suite.ts'

describeConformance({
  name: 'two nodes of a cluster',
  async start() {
    const nodes = await startNodes()
    nodes.registry.applications.set(SUITE_APPLICATION, SUITE_RULES)
    const settings = { MQTT_ANONYMOUS_AS: SUITE_APPLICATION }
    const [one, two] = [await nodes.start('one', settings), await nodes.start('two', settings)]
    return { one: { kind: 'tcp', port: one.port }, two: { kind: 'tcp', port: two.port } }
  },
})

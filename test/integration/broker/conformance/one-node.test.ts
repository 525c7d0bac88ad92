import { startBroker } from '../../../broker-harness.ts'
import { useAuthority } from '../../../certificates.ts'
import { wayTo } from '../../../mqtt/way.ts'
import { describeConformance, SUITE_APPLICATION, SUITE_RULES } from './suite.ts'

describeConformance({
  name: 'one node',
  async start() {
    const harness = await startBroker({ MQTT_ANONYMOUS_AS: SUITE_APPLICATION })
    harness.registry.applications.set(SUITE_APPLICATION, SUITE_RULES)
    const way = wayTo(harness, 'tcp')
    return { one: way, two: way }
  },
})

const authority = useAuthority()

describeConformance({
  name: 'TLS',
  async start() {
    const { ca, settings } = authority()
    const harness = await startBroker({ MQTT_ANONYMOUS_AS: SUITE_APPLICATION, ...settings })
    harness.registry.applications.set(SUITE_APPLICATION, SUITE_RULES)
    const way = wayTo(harness, 'tls', { ca })
    return { one: way, two: way }
  },
})

import { Counter } from 'prom-client'
import type { Metrics } from '../../shared/process/metrics.ts'
import { Type } from './mqtt/packets.ts'

/** Counts what clients broke of the specification: type of the packet and reason, as in the broker's tally, to a number. */
export function exposeViolations(violations: ReadonlyMap<number, number>, metrics: Metrics): void {
  const names = Object.keys(Type)
  new Counter({
    name: 'sluice_broker_violations_total',
    help: 'Packets that violate the specification, by packet type and MQTT 5 reason code',
    labelNames: ['packet', 'reason'],
    registers: [metrics],
    collect() {
      this.reset()
      for (const [kind, count] of violations) {
        const packet = names[(kind >> 8) - 1] ?? 'unknown'
        this.inc({ packet, reason: `0x${(kind & 0xff).toString(16)}` }, count)
      }
    },
  })
}

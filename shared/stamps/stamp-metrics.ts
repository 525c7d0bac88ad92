import { Counter } from 'prom-client'
import { gaugeOf, type Metrics } from '../process/metrics.ts'
import type { ReceiveClock } from './receive-clock.ts'
import { UNSYNCHRONISED } from './scheme.ts'

/** What the operator sees of the receive stamps of a process, whatever slot they have. */
export class StampMetrics {
  readonly setBacks: Counter<'outcome'>
  readonly lost: Counter
  readonly searchesCut: Counter

  constructor(clock: ReceiveClock, era: () => number, metrics: Metrics) {
    const registers = [metrics]
    this.setBacks = new Counter({
      name: 'sluice_stamps_set_back_total',
      help: 'Steps back of the wall clock by more than 10 s, by what became of them: the next era, or no stamps',
      labelNames: ['outcome'],
      registers,
    })
    this.lost = new Counter({
      name: 'sluice_stamps_slots_lost_total',
      help: 'Times that another process took the slot of this one, which then took another one',
      registers,
    })
    this.searchesCut = new Counter({
      name: 'sluice_stamps_searches_cut_total',
      help: 'Searches of the log for stamps ahead of the clock that met too many of other processes: another era is taken',
      registers,
    })
    const synchronised = '1 when the system clock is known to be synchronised, or nobody would say so; 0 marks stamps'
    const isSynchronised = () => (clock.scheme === UNSYNCHRONISED ? 0 : 1)
    gaugeOf(metrics, 'sluice_stamps_clock_synchronised', synchronised, isSynchronised)
    gaugeOf(metrics, 'sluice_stamps_era', 'Era of the receive stamps: it changes when the clock was set back', era)
    const stopped = '1 while no receive stamps are made, and so nothing is acknowledged'
    gaugeOf(metrics, 'sluice_stamps_stopped', stopped, () => (clock.stopped === undefined ? 0 : 1))
    new Counter({
      name: 'sluice_stamps_slowed_total',
      help: 'Messages that had to wait because receive stamps were 100 ms ahead of the clock',
      registers,
      collect() {
        this.reset()
        this.inc(clock.slowed)
      },
    })
  }
}

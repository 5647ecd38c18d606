/**
 * `serve`: runs a gateway until it is told to stop, and follows its config file.
 */
import path from 'node:path'
import { changesBetween } from '../config/changes.ts'
import { loadConfig } from '../config/load.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { createGateway, type Gateway } from '../gateway/gateway.ts'
import { createOperatorLog, LOG_LEVELS, type LogLevel, type OperatorLog } from '../telemetry/operator-log.ts'
import { watchPath } from '../watcher.ts'
import { fileFindings } from './check-files.ts'
import { configFor, shownPath } from './config.ts'
import { CommandFailure, EXIT } from './output.ts'
import { tuneEngine } from './tuning.ts'

/** @returns When the gateway has stopped. */
export async function serve(file: string): Promise<void> {
  tuneEngine()
  const log = createOperatorLog(process.stderr, logLevel(process.env.SALLYPORT_LOG_LEVEL))
  // A file that may not grow any more is an audit failure, not the end of the process.
  process.on('SIGXFSZ', () => {})
  const config = configFor(file, 'pretty')
  let gateway: Gateway | undefined
  let follow = (): void => {}
  // From the first moment: unhandled, this signal would end the process.
  process.on('SIGHUP', () => {
    follow()
    void gateway?.reloadPolicy()
  })
  for (const { code, file: found, message } of fileFindings(file, config, Date.now()))
    log.warn(code, { file: found, message })
  gateway = await started(file, config, log)
  follow = followConfig(file, config, gateway, log)
  const watcher = watchPath(path.resolve(file), follow)
  // Before anybody knows that it runs, and may stop it.
  const stopAsked = stopSignal(log)
  log.info('listening', { url: gateway.url, admin_url: gateway.adminUrl })
  await stopAsked
  await watcher.close()
  await gateway.stop()
  log.info('stopped')
}

/** @throws CommandFailure */
function logLevel(text = 'info'): LogLevel {
  const level = LOG_LEVELS.find(name => name === text)
  if (level) return level
  throw new CommandFailure(EXIT.usage, `SALLYPORT_LOG_LEVEL: expected ${LOG_LEVELS.join(', ')}`)
}

async function started(file: string, config: GatewayConfig, log: OperatorLog): Promise<Gateway> {
  try {
    // The name that systemd has for it; beside a config that is mounted nothing can be written.
    const stateFolder =
      process.env.STATE_DIRECTORY || path.join(path.dirname(path.resolve(file)), '.sallyport')
    return await createGateway({ config, log, policyShownAs: shownPath(config.policy.path), stateFolder })
  } catch (error) {
    throw new CommandFailure(EXIT.failure, `the gateway cannot start: ${(error as Error).message}`)
  }
}

/** @returns What to call when the config file may have changed. */
function followConfig(file: string, first: GatewayConfig, gateway: Gateway, log: OperatorLog): () => void {
  let inForce = first
  let refused = ''
  return () => {
    const { config, findings } = loadConfig(file)
    if (!config) {
      const told = JSON.stringify(findings)
      if (told !== refused) log.error('config_refused', { diagnostics: findings })
      refused = told
      return
    }
    refused = ''
    const { live, restart } = changesBetween(inForce, config)
    if (live.length + restart.length === 0) return
    try {
      gateway.applyConfig(config)
    } catch (error) {
      const { message } = error as Error
      if (message !== refused) log.error('config_refused', { message })
      refused = message
      return
    }
    inForce = config
    log.info('config_applied', { sections: live })
    if (restart.length > 0) log.warn('config_needs_restart', { sections: restart })
  }
}

/** The first signal stops in order; the second ends at once. */
function stopSignal(log: OperatorLog): Promise<void> {
  return new Promise(resolve => {
    let asked = false
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) process.exit(EXIT.failure)
      asked = true
      log.info('stopping', { signal })
      resolve()
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

# Renders every context of a file with Ruby's liquid, parsed once, and says what it cost.
# ruby engine.rb <template> <contexts.jsonl> <constants.json> <texts out>

require "json"
require "liquid"

template_file, context_file, constants_file, out_file = ARGV
constants = JSON.parse(File.read(constants_file))
contexts = File.readlines(context_file).map { |line| constants.merge(JSON.parse(line)) }

module Money
  def money(value)
    whole, cents = format("%.2f", value).split(".")
    "€#{whole.gsub(/\B(?=(\d{3})+$)/, ",")}.#{cents}"
  end
end
Liquid::Template.register_filter(Money)

parsed = Liquid::Template.parse(File.read(template_file))
texts = contexts.map { |context| parsed.render(context) }
started = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
size = contexts.sum { |context| parsed.render(context).bytesize }
spent = Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID) - started
File.write(out_file, JSON.generate(texts.first(200)))
puts JSON.generate({ mails: contexts.length, cpu: spent, size: size })

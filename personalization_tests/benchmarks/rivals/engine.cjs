// Renders every context of a file with liquidjs or Handlebars, parsed once, and says what it cost.
// node engine.cjs <liquidjs|handlebars> <template> <contexts.jsonl> <constants.json> <texts out>

const fs = require("fs");

const [engine, templateFile, contextFile, constantsFile, outFile] = process.argv.slice(2);
const template = fs.readFileSync(templateFile, "utf8");
const constants = JSON.parse(fs.readFileSync(constantsFile, "utf8"));
const contexts = fs
  .readFileSync(contextFile, "utf8")
  .trim()
  .split("\n")
  .map((line) => ({ ...constants, ...JSON.parse(line) }));

function money(value) {
  const [whole, cents] = value.toFixed(2).split(".");
  return "€" + whole.replace(/\B(?=(\d{3})+$)/g, ",") + "." + cents;
}
const upper = (text) => text.charAt(0).toUpperCase() + text.slice(1).toLowerCase();
const shortened = (text, room) =>
  text.length <= room ? text : text.slice(0, room - 3) + "...";

function liquid() {
  const { Liquid } = require("liquidjs");
  const env = new Liquid();
  env.registerFilter("money", money);
  const parsed = env.parse(template);
  return (context) => env.renderSync(parsed, context);
}

function handlebars() {
  const bars = require("handlebars");
  const helpers = {
    money,
    capitalize: upper,
    truncate: shortened,
    upcase: (text) => text.toUpperCase(),
    downcase: (text) => text.toLowerCase(),
    default: (value, other) => (value === null || value === undefined || value === "" ? other : value),
    join: (list, by) => list.join(by),
    take: (list, most) => list.slice(0, most),
    inc: (index) => index + 1,
    eq: (a, b) => a === b,
    gt: (a, b) => a !== null && a > b,
    ge: (a, b) => a !== null && a >= b,
    contains: (list, item) => list.includes(item),
    and: (a, b) => a && b,
    or: (a, b) => a || b,
  };
  for (const [name, helper] of Object.entries(helpers)) bars.registerHelper(name, helper);
  // What is known at compile time makes the template faster.
  const knownHelpers = Object.fromEntries(Object.keys(helpers).map((name) => [name, true]));
  const made = bars.template(
    eval("(" + bars.precompile(template, { knownHelpers, knownHelpersOnly: true }) + ")"),
  );
  return (context) => made(context);
}

const render = { liquidjs: liquid, handlebars }[engine]();
const texts = contexts.map(render); // also lets the compiler of JavaScript warm up
const spent = process.cpuUsage();
let size = 0;
for (const context of contexts) size += render(context).length;
const { user, system } = process.cpuUsage(spent);
fs.writeFileSync(outFile, JSON.stringify(texts.slice(0, 200)));
console.log(JSON.stringify({ mails: contexts.length, cpu: (user + system) / 1e6, size }));
